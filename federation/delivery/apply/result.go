package apply

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Verdict is what one call did to one object in one member, in the words of Distribution.status.
type Verdict string

const (
	Created    Verdict = "Created"    // it was not there, now it is
	Configured Verdict = "Configured" // it was there and has been changed
	Unchanged  Verdict = "Unchanged"  // it was there and is as it should be
	Conflict   Verdict = "Conflict"   // somebody else owns the object or a field of it; nothing was changed
	Failed     Verdict = "Failed"     // the member refused, or could not be asked; see Reason
	Pending    Verdict = "Pending"    // begun or waiting for something; not finished
	Skipped    Verdict = "Skipped"    // left alone on purpose; finished
	Deleted    Verdict = "Deleted"    // it is not there (any more)
)

// Reason says in one CamelCase word why the verdict is what it is. It is empty when the verdict says it all.
type Reason string

const (
	ReasonForeign          Reason = "ForeignObject"     // an object of that name is not ours
	ReasonOtherHub         Reason = "OtherHub"          // it is another hub's
	ReasonOtherTemplate    Reason = "OtherTemplate"     // it is ours, of a template that is gone or was made anew
	ReasonFieldOwned       Reason = "FieldOwned"        // another field manager owns a field that we want to set
	ReasonBeingDeleted     Reason = "BeingDeleted"      // it is terminating; finalizers hold it
	ReasonChanged          Reason = "ChangedMeanwhile"  // it changed between look and write, twice
	ReasonImmutable        Reason = "ImmutableField"    // a field that cannot be changed after creation
	ReasonInvalid          Reason = "Invalid"           // 400 or 422: the member does not accept the object
	ReasonDenied           Reason = "AdmissionDenied"   // an admission webhook or policy said no
	ReasonWebhookBroken    Reason = "WebhookFailed"     // an admission webhook could not be called
	ReasonQuota            Reason = "QuotaExceeded"     // a ResourceQuota in the member is used up
	ReasonTaken            Reason = "Taken"             // a port or address that another object in the member has
	ReasonForbidden        Reason = "Forbidden"         // 403: our account may not do this
	ReasonUnauthorized     Reason = "Unauthorized"      // 401: our credentials are not accepted
	ReasonNamespaceMissing Reason = "NamespaceMissing"  // the namespace does not exist
	ReasonNamespaceEnding  Reason = "NamespaceEnding"   // the namespace is terminating
	ReasonNotDiscovered    Reason = "NotDiscovered"     // what the member serves is not known yet
	ReasonKindMissing      Reason = "KindMissing"       // the member does not serve this kind
	ReasonTooLarge         Reason = "TooLarge"          // 413, or larger than etcd takes
	ReasonBusy             Reason = "TooManyRequests"   // 429
	ReasonServerError      Reason = "ServerError"       // 5xx
	ReasonTimeout          Reason = "Timeout"           // no answer in time; it may or may not have happened
	ReasonUnreachable      Reason = "Unreachable"       // no connection
	ReasonUnintelligible   Reason = "BadAnswer"         // the answer is not Kubernetes
	ReasonUnknown          Reason = "Unknown"           // anything else; the message has it
	ReasonCanceled         Reason = "Canceled"          // our own context ended
	ReasonKept             Reason = "Kept"              // left in place on purpose: adopted, or orphaned on request
	ReasonNotEmpty         Reason = "NotEmpty"          // a namespace with something foreign in it
	ReasonRecreated        Reason = "Recreated"         // it was deleted and made anew, as onImmutable asks
	ReasonCeded            Reason = "FieldsCeded"       // it keeps fields that the template dropped and others have set
	ReasonDryRun           Reason = "DryRun"            // nothing was written
	ReasonUnsupported      Reason = "DryRunUnsupported" // the member cannot say what would happen
)

// Result is the outcome of one call for one object.
type Result struct {
	Verdict Verdict
	Reason  Reason
	// Message is one sentence for a person: what happened, whose doing, what to do. Empty when the verdict says it all.
	Message string

	// What the member has now; empty when it has nothing or did not say.
	UID             types.UID
	ResourceVersion string
	Generation      int64
	// Fingerprint of the object as applied, see the function of that name.
	Fingerprint string

	// TakenBack names fields that were ours, that others had set since, and that we set again, with their managers.
	TakenBack string

	// RetryAfter is when to try again, counted from now; zero: only when something changes (the template, the
	// placement, the object in the member, the member's APIs).
	RetryAfter time.Duration
	// Backoff: RetryAfter is a first guess, to be grown by the caller when it fails again.
	Backoff bool
	// MemberTrouble: the fault lies with the member or the way to it, not with this object. Others will fare the same.
	MemberTrouble bool

	// Err is the cause when the verdict is Failed, or Conflict on fields; for errors.As, not for people.
	Err error
}

// afterRecreation adds why the object had to be made anew; nothing if it had not.
func (r Result) afterRecreation(why string) Result {
	if why != "" && r.Verdict == Created {
		r.Reason, r.Message = ReasonRecreated, "deleted and recreated because "+why
	}
	return r
}

// Done reports whether nothing more is to be done for this object until something changes.
func (r Result) Done() bool {
	return r.Verdict != Pending && r.RetryAfter == 0
}

// OK reports whether the member is as asked.
func (r Result) OK() bool {
	switch r.Verdict {
	case Created, Configured, Unchanged, Deleted, Skipped:
		return true
	}
	return false
}

func (r Result) String() string {
	s := string(r.Verdict)
	if r.Reason != "" {
		s += " (" + string(r.Reason) + ")"
	}
	if r.Message != "" {
		s += ": " + r.Message
	}
	if r.RetryAfter > 0 {
		s += fmt.Sprintf(" [again in %s]", r.RetryAfter)
	}
	return s
}
