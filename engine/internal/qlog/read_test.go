package qlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// readRecords splits a file into its records and holds each against the schemas.
func readRecords(t testing.TB, file []byte) []string {
	t.Helper()
	var texts []string
	for len(file) > 0 {
		// RFC 7464, section 2.2: a record separator, the text, a line feed.
		if file[0] != 0x1e {
			t.Fatalf("record %d begins with %q", len(texts), file[0])
		}
		end := bytes.IndexByte(file, '\n')
		if end < 0 {
			t.Fatalf("record %d does not end: %q", len(texts), file)
		}
		text := file[1:end]
		schema := event
		if len(texts) == 0 {
			schema = header
		}
		if why := fault(text, schema); why != "" {
			t.Errorf("record %d: %s\n%s", len(texts), why, text)
		}
		texts = append(texts, string(text))
		file = file[end+1:]
	}
	return texts
}

// fault returns what is wrong with a record.
func fault(text []byte, schema check) string {
	if !json.Valid(text) {
		return "no valid JSON"
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err.Error()
	}
	if why := twice(json.NewDecoder(bytes.NewReader(text))); why != "" {
		return why
	}
	return schema(v)
}

// twice returns which key an object has twice: decoding into a map does not say.
func twice(d *json.Decoder) string {
	type level struct {
		keys map[string]bool // nil in an array
		key  bool            // a key comes next
	}
	var open []level
	for {
		token, err := d.Token()
		if err != nil {
			if err == io.EOF {
				return ""
			}
			return err.Error()
		}
		if n := len(open); n > 0 && open[n-1].keys != nil {
			top := &open[n-1]
			if name, ok := token.(string); ok && top.key {
				if top.keys[name] {
					return fmt.Sprintf("field %s stands twice", name)
				}
				top.keys[name] = true
			}
			top.key = !top.key
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{keys: map[string]bool{}, key: true})
		case json.Delim('['):
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
			if n := len(open); n > 0 && open[n-1].keys != nil {
				open[n-1].key = true
			}
		}
	}
}

// written returns what a trace makes of the events, without its header.
func written(t testing.TB, side wire.Perspective, events ...proto.TraceEvent) []string {
	t.Helper()
	var file bytes.Buffer
	trace := New(&file, Options{Side: side})
	for i := range events {
		trace.Trace(&events[i])
	}
	if err := trace.Close(); err != nil {
		t.Fatal(err)
	}
	return readRecords(t, file.Bytes())[1:]
}

func TestFaultFindsFaults(t *testing.T) {
	const good = `{"time":1.5,"name":"quic:packet_lost","data":{"header":{"packet_type":"1RTT","packet_number":7},"trigger":"time_threshold"}}`
	if why := fault([]byte(good), event); why != "" {
		t.Fatalf("a good event: %s", why)
	}
	for name, text := range map[string]string{
		"no JSON":            `{`,
		"no such event":      `{"time":1,"name":"quic:packet_eaten","data":{}}`,
		"no time":            `{"name":"quic:packet_lost","data":{}}`,
		"unknown field":      `{"time":1,"name":"quic:packet_lost","data":{"colour":1}}`,
		"unknown word":       `{"time":1,"name":"quic:packet_lost","data":{"trigger":"bored"}}`,
		"wrong type":         `{"time":1,"name":"quic:packet_lost","data":{"is_mtu_probe_packet":1}}`,
		"field missing":      `{"time":1,"name":"quic:packet_lost","data":{"header":{}}}`,
		"field twice":        `{"time":1,"name":"quic:packet_lost","data":{"header":{"packet_type":"1RTT","packet_type":"1RTT"}}}`,
		"negative":           `{"time":1,"name":"quic:mtu_updated","data":{"new":-1}}`,
		"too large":          `{"time":1,"name":"quic:mtu_updated","data":{"new":4294967296}}`,
		"fraction":           `{"time":1,"name":"quic:mtu_updated","data":{"new":1.5}}`,
		"odd hexstring":      `{"time":1,"name":"quic:version_information","data":{"chosen_version":"123"}}`,
		"empty list":         `{"time":1,"name":"quic:version_information","data":{"client_versions":[]}}`,
		"no such frame":      `{"time":1,"name":"quic:packet_lost","data":{"frames":[{"frame_type":"gift"}]}}`,
		"range of three":     `{"time":1,"name":"quic:packet_lost","data":{"frames":[{"frame_type":"ack","acked_ranges":[[1,2,3]]}]}}`,
		"name on known type": `{"time":1,"name":"quic:packet_lost","data":{"frames":[{"frame_type":"ack","frame_name":"path_ack"}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if fault([]byte(text), event) == "" {
				t.Errorf("no fault was found in %s", text)
			}
		})
	}
}
