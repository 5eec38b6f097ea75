package drift

import (
	"testing"

	"github.com/refract-dev/refract/test/drift/hand"
)

// TestSecretsAreSeenNowhere runs after all others, by its file's name: no password stands in what they left to read.
func TestSecretsAreSeenNowhere(t *testing.T) {
	s := hand.NewScene(t, &shared, "quiet")
	s.Declare(nil, s.Small("quiet-1"))
	s.InSync("quiet-1")
	hand.Quiet(t, &shared, canary, s.World.Prism.Password, s.Git.Password)
}
