package view

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVerdictsAreDocumented holds what a report says of a cluster against the table that explains it, both ways.
func TestVerdictsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash("../../../docs/guides/reviewing.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n| at the merge | means | what to do |\n| --- | --- | --- |\n")
	rows, _, _ := strings.Cut(rest, "\n\n")
	explained := map[string]bool{}
	for row := range strings.Lines(rows) {
		explained[strings.Split(row, "`")[1]] = true
	}
	for v, word := range words {
		if v != idle && !explained[word] { // what stays as it is needs no words
			t.Errorf("nothing explains %q", word)
		}
		delete(explained, word)
	}
	for word := range explained {
		t.Errorf("the page explains %q, which no report says", word)
	}
}
