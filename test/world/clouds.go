package world

import (
	"context"
	"errors"

	"github.com/refract-dev/refract/test/prismsim"
)

// Prism is how to reach the simulated Prism Central.
type Prism struct {
	// Server is the simulator itself, to look at and to change what it holds.
	Server *prismsim.Server
	// Host and Port are where it serves TLS.
	Host string
	Port int
	// Username and Password are its one account.
	Username, Password string
	// CA is the certificate authority that vouches for it, in PEM.
	CA []byte
}

func (w *World) startClouds(context.Context) error { return errors.New("not yet") }
