// Package relay is the user-space backend: it runs the impairment model in real
// time between the two interfaces of a wire.
package relay
