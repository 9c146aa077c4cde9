package capture

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/topologies"
)

// threeNodes has a node and a link of one name, and a node without links.
func threeNodes() topologies.Topology {
	return topologies.Topology{
		Name:  "three",
		Nodes: []topologies.Node{{Name: "client"}, {Name: "router"}, {Name: "server"}, {Name: "alone"}},
		Links: []topologies.Link{
			{Name: "lte", Endpoints: [2]string{"client", "router"}},
			{Name: "router", Endpoints: [2]string{"router", "server"}},
		},
	}
}

func TestPoints(t *testing.T) {
	up := []Point{{"lte.up.in", "client", "lte", Out}, {"lte.up.out", "router", "lte", In}}
	for _, tt := range []struct {
		words string
		want  []Point
	}{
		{"", []Point{{"client:lte", "client", "lte", Both}, {"router:router", "router", "router", Both}}},
		{"router:lte", []Point{{"router:lte", "router", "lte", Both}}},
		{"client", []Point{{"client:lte", "client", "lte", Both}}},
		{"lte", []Point{{"client:lte", "client", "lte", Both}, {"router:lte", "router", "lte", Both}}},
		{"lte.up", up},
		{"lte.up.in", up[:1]},
		{"lte.up.out", up[1:]},
		{"lte.down", []Point{{"lte.down.in", "router", "lte", Out}, {"lte.down.out", "client", "lte", In}}},
		{"lte.up.in client:lte lte.up.in lte.up", []Point{up[0], {"client:lte", "client", "lte", Both}, up[1]}},
	} {
		t.Run(tt.words, func(t *testing.T) {
			got, err := Points(threeNodes(), strings.Fields(tt.words))
			if diff := cmp.Diff(got, tt.want); err != nil || diff != "" {
				t.Errorf("Points: %v (-got +want):\n%s", err, diff)
			}
		})
	}
}

func TestPointsSayWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		words string
		want  []string
	}{
		{"router", []string{"is a node and a link", "router:lte", "router:router"}},
		{"alone", []string{"no node with a link"}},
		{"warp", []string{`"warp"`, "client, router, server", "lte, router"}},
		{"server:lte", []string{"joins client and router"}},
		{"client:wifi", []string{`unknown link "wifi"`, "lte, router"}},
		{"lte.left", []string{`unknown direction "left"`, "up or down"}},
		{"lte.", []string{"up or down"}},
		{"lte.up.middle", []string{`unknown side "middle"`}},
		{"lte.up.", []string{"unknown side"}},
		{"lte.up.in.out", []string{`unknown side "in.out"`}},
		{"wifi.up one:two:three", []string{"wifi", `"two:three"`}}, // both at once
	} {
		t.Run(tt.words, func(t *testing.T) {
			_, err := Points(threeNodes(), strings.Fields(tt.words))
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v does not say %q", err, want)
				}
			}
		})
	}
	if _, err := Points(topologies.Topology{Name: "empty"}, nil); err == nil {
		t.Error("no links: no error")
	}
}
