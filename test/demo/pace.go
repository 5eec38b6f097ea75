package main

import (
	"bufio"
	"context"
	"io"
	"time"
)

// readingTime is how long a step stays before the next one begins, with somebody in front of the terminal.
const readingTime = 15 * time.Second

// lines delivers once for each line of in.
func lines(in io.Reader) <-chan struct{} {
	entered := make(chan struct{})
	go func() {
		scanner := bufio.NewScanner(in)
		for scanner.Scan() {
			entered <- struct{}{}
		}
	}()
	return entered
}

// pause gives a person time to read.
func (d *demo) pause(ctx context.Context) {
	if d.enter == nil {
		return
	}
	d.show.write(margin + d.show.paint(dim, "Enter for the next step; it comes by itself in "+readingTime.String()) + "\n")
	timer := time.NewTimer(readingTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-d.enter:
	case <-timer.C:
	}
}

// busy says every so often that something is still going on, until done is called or ctx ends.
func (d *demo) busy(ctx context.Context, what string) (done func()) {
	progress := &indented{show: d.show}
	start := time.Now()                                                             //nolint:forbidigo // shown to a person, decides nothing
	since := func() string { return time.Since(start).Round(time.Second).String() } //nolint:forbidigo // as above
	say := func(text string) { _, _ = io.WriteString(progress, text+"\n") }
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(20 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				say(what + " … " + since())
			}
		}
	}()
	say(what + " …")
	return func() {
		cancel()
		<-stopped
		say(what + " … done after " + since())
	}
}
