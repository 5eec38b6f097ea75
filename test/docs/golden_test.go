package docs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/refract-dev/refract/test/rig"
)

// golden marks a block that shows what another test holds its output against.
const golden = "golden"

// TestGoldenBlocks holds what the documents show as captured against the golden files that it was captured in.
func TestGoldenBlocks(t *testing.T) {
	found := 0
	for _, all := range read(t) {
		for _, b := range all {
			if b.mark != golden {
				continue
			}
			found++
			text, err := os.ReadFile(filepath.Join(rig.Root(), filepath.FromSlash(b.args)))
			if err != nil {
				t.Errorf("%s: %v", b, err)
				continue
			}
			if !matches(b.text, string(text)) {
				t.Errorf("%s is not what %s has any more", b, b.args)
			}
		}
	}
	if found < 3 {
		t.Errorf("found only %d blocks: is this test still looking in the right place?", found)
	}
}
