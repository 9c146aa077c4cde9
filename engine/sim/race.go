package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/dial"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
)

// race is the dialling of a connection over links, one attempt each, as a dial.Race has
// it. The winner is the connection, and gets paths over all the others.
type race struct {
	host     *Host
	rules    *dial.Race
	config   proto.Config // of the attempts
	routes   []*route     // in Dial's order
	attempts []*Conn      // those that could begin
	errs     []error      // of those that came to nothing
}

func newRace(h *Host, config proto.Config, routes []*route) *race {
	return &race{host: h, rules: dial.NewRace(h.now(), len(routes)), config: config, routes: routes}
}

// step begins the attempts whose time has come.
func (r *race) step(now clock.Time) {
	for {
		i, ok := r.rules.Begin(now)
		if !ok {
			return
		}
		if err := r.begin(now, r.routes[i]); err != nil {
			r.rules.Fail(now)
			r.errs = append(r.errs, dialError(r.routes[i].link.Name, err))
		}
	}
}

// advance begins what is due. When nothing runs and nothing will begin any more the
// application hears of it.
func (r *race) advance(now clock.Time) {
	r.step(now)
	if r.rules.Lost() {
		r.end()
		r.host.app.Closed(r.attempts[0], errors.Join(r.errs...))
	}
}

func dialError(link string, err error) error { return fmt.Errorf("dial over %s: %w", link, err) }

func (r *race) begin(now clock.Time, over *route) error {
	p, err := r.host.endpoint.Dial(now, r.config, over.local(), over.remote(), nil)
	if err != nil {
		return err
	}
	c := r.host.add(p, over.link.Name)
	c.race = r
	r.attempts = append(r.attempts, c)
	return nil
}

// won makes c the connection, and closes the others.
func (r *race) won(c *Conn) {
	r.rules.Complete()
	r.end()
	c.Value = r.attempts[0].Value
	for _, other := range r.attempts {
		if other != c {
			other.beaten = true
			other.close(0, dial.Beaten)
		}
	}
	if len(r.routes) == 1 {
		return
	}
	c.routes = r.routes
	for _, over := range r.routes {
		if over.link.Name == c.link {
			over.state = routeOpen
		}
	}
}

// failed says that c came to nothing.
func (r *race) failed(now clock.Time, c *Conn, err error) {
	r.rules.Fail(now)
	r.errs = append(r.errs, dialError(c.link, err))
	r.advance(now)
}

// stop closes all attempts.
func (r *race) stop(code uint64, reason string) {
	r.rules.Stop()
	for _, c := range r.attempts {
		c.close(code, reason)
	}
}

// end takes the race off the host's list and its attempts.
func (r *race) end() {
	for _, c := range r.attempts {
		c.race = nil
	}
	r.host.races = slices.DeleteFunc(r.host.races, func(other *race) bool { return other == r })
}
