package qlog

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// FileName returns the name of a connection's file: its original destination
// connection ID and its side, as the draft recommends (section 1.1).
func FileName(side wire.Perspective, odcid wire.ConnID) string {
	return odcid.String() + "_" + side.String() + ".sqlog"
}

// File creates the file of a connection in a folder, which must exist. It is the
// caller's to close. A file that is there already is an error: it belongs to
// another connection.
func File(dir string, side wire.Perspective, odcid wire.ConnID) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, FileName(side, odcid)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create qlog file: %w", err)
	}
	return f, nil
}
