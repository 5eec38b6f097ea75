package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// row is one virtual machine as the board shows it.
type row struct{ name, power, address, memory string }

// rowsOf are the virtual machines whose names begin with prefix, sorted by name.
func rowsOf(vms []simulator.VM, prefix string) []row {
	var rows []row
	for _, vm := range vms {
		if strings.HasPrefix(vm.Name, prefix) {
			rows = append(rows, row{name: vm.Name, power: strings.ToLower(vm.PowerState), address: vm.IP, memory: fmt.Sprintf("%d GiB", vm.MemoryBytes>>30)})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.name, b.name) })
	return rows
}

// up says whether the machine has booted.
func (r row) up() bool { return r.power == "on" && r.address != "" }

func (r row) String() string {
	return strings.TrimRight(fmt.Sprintf("%-32s %-4s %-14s %s", r.name, r.power, r.address, r.memory), " ")
}

// scene is all that the board shows at one moment.
type scene struct {
	rows []row
	// clusters is the phase of each cluster, by name.
	clusters []string
}

// board shows machines while they change: on a terminal a table that is drawn over, elsewhere a line for each change.
type board struct {
	show  *show
	last  scene
	drawn int // lines on the terminal
	begun bool
}

// update shows what is new, after so long a time.
func (b *board) update(now scene, after time.Duration) {
	if b.begun && slices.Equal(b.last.rows, now.rows) && slices.Equal(b.last.clusters, now.clusters) {
		return
	}
	if b.show.terminal {
		b.redraw(now, after)
	} else {
		for _, line := range changes(b.last, now) {
			b.show.write(fmt.Sprintf("%s%s  %s\n", margin, clockOf(after), line))
		}
	}
	b.last, b.begun = now, true
}

func (b *board) redraw(now scene, after time.Duration) {
	if b.drawn > 0 {
		b.show.write(fmt.Sprintf("\x1b[%dA\x1b[J", b.drawn))
	}
	lines := []string{b.show.paint(dim, row{"VIRTUAL MACHINE", "", "ADDRESS", "MEMORY"}.String())}
	for _, r := range now.rows {
		lines = append(lines, r.String())
	}
	if len(now.rows) == 0 {
		lines = append(lines, "none")
	}
	lines = append(lines, b.show.paint(dim, clockOf(after)+"  "+strings.Join(now.clusters, " · ")))
	for _, line := range lines {
		b.show.write(margin + line + "\n")
	}
	b.drawn = len(lines)
}

// done ends the board.
func (b *board) done() { b.show.write("\n") }

// changes are the lines that lead from one scene to the next: machines that have booted, machines that have gone, and
// clusters in another phase.
func changes(before, now scene) []string {
	var lines []string
	for _, r := range now.rows {
		was := slices.IndexFunc(before.rows, func(o row) bool { return o.name == r.name })
		if r.up() && (was < 0 || !before.rows[was].up()) {
			lines = append(lines, "+ "+r.String())
		}
	}
	for _, r := range before.rows {
		if !slices.ContainsFunc(now.rows, func(o row) bool { return o.name == r.name }) {
			lines = append(lines, "- "+r.name)
		}
	}
	for _, c := range now.clusters {
		if !slices.Contains(before.clusters, c) {
			lines = append(lines, "  "+c)
		}
	}
	return lines
}

// clockOf is minutes and seconds.
func clockOf(d time.Duration) string {
	seconds := int(d.Seconds())
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}
