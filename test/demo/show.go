package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

const (
	// width of paragraphs, in characters.
	width = 100
	// margin before everything but headings.
	margin = "   "
)

// show writes to the person in front of the screen.
type show struct {
	out io.Writer
	// terminal: text may be coloured and drawn over.
	terminal bool
}

// newShow uses colours if out is a terminal that knows them.
func newShow(out *os.File) *show {
	term := os.Getenv("TERM")
	return &show{out: out, terminal: isTerminal(out) && term != "" && term != "dumb" && os.Getenv("NO_COLOR") == ""}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Looks of text on a terminal.
const (
	bold  = "1"
	red   = "31"
	green = "32"
	dim   = "2"
)

func (s *show) paint(look, text string) string {
	if !s.terminal {
		return text
	}
	return "\x1b[" + look + "m" + text + "\x1b[0m"
}

func (s *show) write(text string) { _, _ = io.WriteString(s.out, text) }

// step begins a numbered step.
func (s *show) step(number int, title string) {
	s.write("\n" + s.paint(bold, fmt.Sprintf("%d. %s", number, title)) + "\n\n")
}

// say writes a paragraph.
func (s *show) say(format string, args ...any) {
	for _, line := range wrap(fmt.Sprintf(format, args...), width-len(margin)) {
		s.write(margin + line + "\n")
	}
	s.write("\n")
}

// seen confirms what has been seen.
func (s *show) seen(format string, args ...any) {
	s.write(margin + s.paint(green, "✓") + " " + fmt.Sprintf(format, args...) + "\n\n")
}

// failure says what went wrong.
func (s *show) failure(text string) { s.write("\n" + s.paint(red, "✗ "+text) + "\n\n") }

// command shows what could be typed.
func (s *show) command(text string) {
	s.write(margin + s.paint(bold, "$ "+strings.ReplaceAll(text, "\n", "\n"+margin+"  ")) + "\n")
}

// output shows what a command answered.
func (s *show) output(text string) { s.write(indent(text) + "\n") }

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		b.WriteString(margin + strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// wrap breaks text into lines of at most so many characters, between words.
func wrap(text string, limit int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > limit:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// indented is a writer that puts the margin before each line of programs' progress.
type indented struct {
	show *show
	rest string
}

// Write shows the whole lines of p and keeps the rest for later.
func (w *indented) Write(p []byte) (int, error) {
	text := w.rest + string(p)
	last := strings.LastIndexByte(text, '\n') + 1
	w.rest = text[last:]
	for line := range strings.Lines(text[:last]) {
		w.show.write(margin + w.show.paint(dim, strings.TrimRight(line, "\n")) + "\n")
	}
	return len(p), nil
}

// tail is the end of a file, or why it cannot be read.
func tail(path string, lines int) string {
	text, err := os.ReadFile(path) //nolint:gosec // a log of our own
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
