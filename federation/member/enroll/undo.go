package enroll

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// undoTimeout bounds undoing everything, so that a join of a cluster that stopped answering still ends.
const undoTimeout = 30 * time.Second

// undoList has what was done, to take it back.
type undoList struct{ steps []undoStep }

type undoStep struct {
	what string
	undo func(context.Context) error
}

// add remembers how to take back what was just done. What names it and says where it is.
func (u *undoList) add(what string, undo func(context.Context) error) {
	u.steps = append(u.steps, undoStep{what, undo})
}

// run takes everything back, the last first, also when ctx was cancelled. A step that fails does not keep the others
// from being tried; the error lists what is left.
func (u *undoList) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	var failed []error
	for i := len(u.steps) - 1; i >= 0; i-- {
		if err := u.steps[i].undo(ctx); err != nil {
			failed = append(failed, fmt.Errorf("%s is left behind: %w", u.steps[i].what, err))
		}
	}
	u.steps = nil
	return errors.Join(failed...)
}
