package build

import "strings"

// Nearest returns the candidate that a mistyped name was probably meant to be; empty when none is near. Ties go to the
// first.
func Nearest(name string, candidates []string) string {
	best, distance := "", max(1, (len(name)+2)/4)+1
	for _, c := range candidates {
		if strings.EqualFold(c, name) {
			return c
		}
		if d := edits(strings.ToLower(name), strings.ToLower(c)); d < distance && d < len(c) {
			best, distance = c, d
		}
	}
	return best
}

// edits is the number of characters to insert, delete, replace or swap with a neighbour to turn a into b.
func edits(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return len(a) + len(b)
	}
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
