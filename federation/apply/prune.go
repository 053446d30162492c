package apply

import "context"

// Delete takes the object out of the member if, and only if, it carries our marks.
func Delete(ctx context.Context, target Target, ref Ref, o DeleteOptions) Result {
	panic("follows in the next commit")
}
