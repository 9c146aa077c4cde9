package iperf3

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// output is what of iperf3's JSON matters here.
type output struct {
	sent, received sum
	congestion     string
}

// sum is all streams together.
type sum struct {
	Seconds float64 `json:"seconds"`
	Bytes   int64   `json:"bytes"`
}

// parse reads what the program printed at its end.
func parse(text []byte) (output, error) {
	var doc struct {
		End struct {
			Sent       *sum   `json:"sum_sent"`
			Received   *sum   `json:"sum_received"`
			Congestion string `json:"sender_tcp_congestion"`
		} `json:"end"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return output{}, fmt.Errorf("read its result: %w", err)
	}
	if doc.End.Sent == nil || doc.End.Received == nil {
		return output{}, errors.New("read its result: it has no sums")
	}
	o := output{sent: *doc.End.Sent, received: *doc.End.Received, congestion: doc.End.Congestion}
	for _, s := range []sum{o.sent, o.received} {
		if s.Bytes < 0 || !(s.Seconds >= 0) || s.Seconds > math.MaxInt32 {
			return output{}, fmt.Errorf("read its result: %d bytes in %v s are none", s.Bytes, s.Seconds)
		}
	}
	return o, nil
}

// complaint returns what went wrong by the program's own word; empty: nothing, or it
// does not say.
func complaint(text []byte) string {
	var doc struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(text, &doc) != nil {
		return ""
	}
	return doc.Error
}

// failure returns what a program says that ended with an error.
func failure(text []byte, err error) error {
	said := complaint(text)
	switch {
	case strings.Contains(said, "Connection refused"):
		return fmt.Errorf("iperf3: %w: %s", errNotListening, said)
	case said != "":
		return fmt.Errorf("iperf3: %s", said)
	}
	return fmt.Errorf("iperf3: %w: %s", err, excerpt(text))
}

func excerpt(text []byte) string {
	const most = 200
	s := strings.ToValidUTF8(strings.TrimSpace(string(text)), "?")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + " ..."
	}
	return s
}
