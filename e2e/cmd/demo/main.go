// Command demo runs the main job of Hanse for everybody to see: a hub and three member clusters on this machine, one
// application over all of them by weight, one DNS name for the whole, and a member that is lost and comes back.
//
// Every step checks what it says. The exit code tells whether all was as told. On a terminal the demo stays up until
// Ctrl-C, so that one can go on by hand; it leaves no process behind.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/term"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrllog.SetLogger(logr.Discard()) // what goes wrong comes back as errors
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		stop()
		os.Exit(1)
	}
}

// step is one scene.
type step struct {
	title string
	play  func(context.Context) error
}

func run(ctx context.Context) (err error) {
	d, err := prepare(ctx)
	defer func() { d.end() }()
	if err != nil {
		return err
	}
	began := time.Now()
	for _, s := range []step{
		{"A hub starts from an empty directory", d.startHub},
		{"Three clusters join", d.join},
		{"An application: Deployment of 12, ConfigMap, Secret, Service, Placement 3:2:1, one DNS name", d.apply},
		{"One DNS name answers for all, by weight", func(ctx context.Context) error { return d.ask(ctx, 300) }},
		{"Scale on the hub: 12 to 18", d.scale},
		{"Somebody edits a copy in a member: it is repaired", d.drift},
		{"A member dies", d.kill},
		{"It comes back", d.revive},
	} {
		fmt.Printf("\n== %s\n", s.title)
		at := time.Now()
		if err := s.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
		fmt.Printf("   (%.1f s)\n", time.Since(at).Seconds())
	}
	fmt.Printf("\nAll was as told, in %.0f s.\n", time.Since(began).Seconds())
	d.howToGoOn()
	if term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd())) {
		fmt.Println("\nCtrl-C ends the demo.")
		<-ctx.Done()
	}
	return nil
}
