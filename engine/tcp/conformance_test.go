package tcp_test

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/tcp"
)

func TestTCP(t *testing.T) { enginetest.Run(t, tcp.New(), enginetest.Options{}) }

func TestTLS(t *testing.T) { enginetest.Run(t, tcp.NewTLS(), enginetest.Options{}) }
