package agent

import (
	"errors"

	"github.com/tquiclab/tquiclab/lab/privilege"
)

// drop gives up root for good, with no group but the user's first. The sockets that
// are open stay open.
func (c *child) drop(to Credential) error {
	if c.dropped {
		return errors.New("drop root: done already")
	}
	err := privilege.User{UID: to.UID, GID: to.GID}.Become()
	c.dropped = err == nil
	return err
}
