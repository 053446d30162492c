package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hanse-federation/hanse/federation/member/enroll"
)

// Exit codes, see the package's doc.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotAsAsked  = 3
	exitUnreachable = 4
)

// usageError is a wrong command line.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// notAsAsked is the end of a command that did what it could. The message may be empty when the output says it all.
type notAsAsked struct{ message string }

func (n notAsAsked) Error() string { return n.message }

// commandEnded is the end of a command in a pod that was not well. Its own output has said why.
type commandEnded struct {
	code    int
	cluster string
}

func (e commandEnded) Error() string {
	return fmt.Sprintf("the command ended with exit code %d in %s", e.code, e.cluster)
}

// failure is an error with what to do next.
func failure(next, format string, args ...any) error {
	return &enroll.Problem{What: fmt.Sprintf(format, args...), Next: next}
}

// printFailure says what is wrong and what to do next, and returns the exit code.
func printFailure(w io.Writer, command *cobra.Command, err error) int {
	if message := err.Error(); message != "" {
		_, _ = fmt.Fprintf(w, "Error: %s\n", message)
	}
	var problem *enroll.Problem
	var wrong usageError
	var unfinished notAsAsked
	var ended commandEnded
	switch {
	case errors.As(err, &wrong) || isCobraUsage(err):
		_, _ = fmt.Fprintf(w, "  %s --help shows what it takes.\n", command.CommandPath())
		return exitUsage
	case errors.As(err, &ended):
		return ended.code
	case errors.As(err, &unfinished):
		return exitNotAsAsked
	case errors.As(err, &problem):
		if problem.Next != "" {
			_, _ = fmt.Fprintf(w, "  %s\n", problem.Next)
		}
		return exitOf(problem.Reason)
	case errors.Is(err, context.Canceled):
		_, _ = fmt.Fprintln(w, "  Interrupted.")
	}
	return exitFailed
}

// isCobraUsage knows the two complaints of cobra that have no hook of their own.
func isCobraUsage(err error) bool {
	return strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag")
}

func exitOf(reason enroll.Reason) int {
	switch reason {
	case enroll.BadName, enroll.BadRequest:
		return exitUsage
	case enroll.WaitEnded:
		return exitNotAsAsked
	case enroll.Unreachable, enroll.WrongCA, enroll.WrongHost, enroll.ExpiredCertificate, enroll.ExpiredCredentials,
		enroll.Unauthorized, enroll.NotKubernetes, enroll.NotHanse:
		return exitUnreachable
	}
	return exitFailed
}
