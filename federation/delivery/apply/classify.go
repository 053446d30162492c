package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/printable"
)

// failure is one row of the table: how to recognise it and what follows from it.
type failure struct {
	reason Reason
	is     func(error) bool
	then   Result // Verdict, RetryAfter, Backoff, MemberTrouble
	advice string // appended to the member's own words
}

// A refusal waits for the template or the object to change, of which we hear. What may change in the member without our
// hearing of it (its policies, its roles) is tried again slowly.
var (
	never     = Result{Verdict: Failed}
	slowly    = Result{Verdict: Failed, RetryAfter: 5 * time.Minute}
	minutely  = Result{Verdict: Failed, RetryAfter: time.Minute}
	coming    = Result{Verdict: Failed, RetryAfter: time.Second, Backoff: true} // its definition may be on the way
	freeing   = Result{Verdict: Failed, RetryAfter: 10 * time.Second, Backoff: true}
	taken     = Result{Verdict: Failed, RetryAfter: 5 * time.Second}
	soon      = Result{Verdict: Failed, RetryAfter: 5 * time.Second, Backoff: true}
	waiting   = Result{Verdict: Pending, RetryAfter: time.Second, Backoff: true}
	ending    = Result{Verdict: Pending, RetryAfter: 2 * time.Second, Backoff: true}
	unknown   = Result{Verdict: Pending, RetryAfter: time.Second, Backoff: true, MemberTrouble: true}
	troubled  = Result{Verdict: Failed, RetryAfter: time.Second, Backoff: true, MemberTrouble: true}
	illMember = Result{Verdict: Failed, RetryAfter: 10 * time.Second, Backoff: true, MemberTrouble: true}
	contested = Result{Verdict: Conflict, RetryAfter: 5 * time.Minute}
)

// failures is tried from top to bottom. The order matters where rows overlap: what we did ourselves, then the special
// cases of a status, then the status itself, then what the way to the member did.
var failures = []failure{
	{ReasonCanceled, isCanceled, waiting, ""},
	{ReasonNotDiscovered, isMemberTrouble, unknown, ""},
	{ReasonInvalid, isUnusable, never, ""},
	{ReasonKindMissing, meta.IsNoMatchError, coming, "the member does not serve this kind; install it there"},
	{ReasonFieldOwned, isFieldConflict, contested,
		"leave the field out of the template, or set on-conflict to Overwrite to take it"},

	{ReasonWebhookBroken, says("failed calling webhook", "failed to call webhook"), soon,
		"the webhook in the member does not answer as it should"},
	{ReasonDenied, says("admission webhook"), soon, ""},
	{ReasonDenied, says("ValidatingAdmissionPolicy", "violates PodSecurity", "denied request"), soon, ""},
	{ReasonQuota, says("exceeded quota"), freeing, ""},
	{ReasonTaken, says("port is already allocated", "IP is already allocated"), taken,
		"another Service in the member has it; it is tried again every few seconds"},
	{ReasonNamespaceEnding, isNamespaceEnding, ending, ""},
	{ReasonNamespaceMissing, isNamespaceMissing, waiting, ""},
	{ReasonKindMissing, says("while custom resource definition is terminating"), waiting, ""},
	{ReasonTooLarge, says("request is too large", "message larger than max", "Too long: may not be more than"), never,
		""},
	{ReasonUnsupported, says("does not support dry run"), never, ""},
	{ReasonInvalid, says("field not declared in schema", "failed to create typed patch object"), slowly,
		"the member's version may not know the field"},
	{ReasonImmutable, isImmutable, never,
		"the field cannot be changed once set: undo the change, give the template a new name, delete the object in the " +
			"member, or let it be recreated (onImmutable: Recreate)"},

	{ReasonUnauthorized, code(http.StatusUnauthorized), illMember, "renew the member's credentials"},
	{ReasonForbidden, code(http.StatusForbidden), minutely, "give our account in the member the permission"},
	{ReasonKindMissing, code(http.StatusNotFound, http.StatusMethodNotAllowed), coming,
		"the member does not serve this kind (any more)"},
	{ReasonChanged, code(http.StatusConflict), waiting, ""},
	{ReasonTooLarge, code(http.StatusRequestEntityTooLarge), never, ""},
	{ReasonInvalid, code(http.StatusUnprocessableEntity, http.StatusBadRequest, http.StatusNotAcceptable,
		http.StatusUnsupportedMediaType), slowly, ""},
	{ReasonBusy, code(http.StatusTooManyRequests), troubled, ""},
	{ReasonTimeout, code(http.StatusGatewayTimeout, http.StatusRequestTimeout), troubled, ""},
	{ReasonServerError, code(http.StatusBadGateway, http.StatusServiceUnavailable), troubled, ""},
	{ReasonServerError, isServerError, soon, ""},

	{ReasonTimeout, isTimeout, troubled, "it may or may not have been done"},
	{ReasonUnreachable, isNetwork, troubled, ""},
	{ReasonUnintelligible, isUnintelligible, illMember, "what answers is not a Kubernetes API"},
}

// classify makes a Result of an error. The member's own words come first in the message.
func classify(ref Ref, err error) Result {
	row := failure{reason: ReasonUnknown, then: Result{Verdict: Failed, RetryAfter: 10 * time.Second, Backoff: true}}
	for _, f := range failures {
		if f.is(err) {
			row = f
			break
		}
	}
	r := row.then
	r.Reason, r.Err = row.reason, err
	r.Message = limited(words(ref, err))
	if row.advice != "" {
		r.Message += "; " + row.advice
	}
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok && seconds > 0 && r.RetryAfter > 0 {
		r.RetryAfter = min(time.Duration(seconds)*time.Second, 5*time.Minute)
		r.Backoff = false
	}
	return r
}

// words is what is wrong, in one line.
func words(ref Ref, err error) string {
	if conflicts := fieldConflicts(err); len(conflicts) > 0 {
		return fmt.Sprintf("%s: %s", ref, describeConflicts(conflicts))
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if strings.Contains(text, ref.Name) {
		return text
	}
	return ref.String() + ": " + text
}

// maxMessage keeps what a member or its webhooks say at a length that a status can hold.
const maxMessage = 1000

func limited(s string) string { return printable.Line(s, maxMessage) }

func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }

// isMemberTrouble recognises what the connection says of itself, such as member.ErrNotDiscovered.
func isMemberTrouble(err error) bool {
	var trouble interface{ MemberTrouble() bool }
	return errors.As(err, &trouble) && trouble.MemberTrouble()
}

func isUnusable(err error) bool {
	var e *unusable
	return errors.As(err, &e)
}

// statusOf is the member's answer, if the error is one.
func statusOf(err error) (metav1.Status, bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return metav1.Status{}, false
	}
	return status.Status(), true
}

// says matches a status by its text, where Kubernetes gives nothing better.
func says(texts ...string) func(error) bool {
	return func(err error) bool {
		status, ok := statusOf(err)
		return ok && slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(status.Message, t) })
	}
}

func code(codes ...int32) func(error) bool {
	return func(err error) bool {
		status, ok := statusOf(err)
		return ok && slices.Contains(codes, status.Code)
	}
}

func isServerError(err error) bool {
	status, ok := statusOf(err)
	return ok && status.Code >= 500
}

func isNamespaceEnding(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

func isNamespaceMissing(err error) bool {
	status, ok := statusOf(err)
	return ok && status.Code == http.StatusNotFound && status.Details != nil && status.Details.Kind == "namespaces"
}

// isImmutable knows the ways in which Kubernetes says that a field cannot be changed after creation.
func isImmutable(err error) bool {
	status, ok := statusOf(err)
	if !ok || status.Code != http.StatusUnprocessableEntity {
		return false
	}
	return immutable.MatchString(status.Message)
}

// immutable has the wordings of the validation of Kubernetes 1.33 to 1.37, see TestImmutable: "field is immutable",
// "is immutable after creation", "cannot change roleRef", "updates to parameters are forbidden", "updates to statefulset
// spec for fields other than", "pod updates may not change fields other than", "may not change once set", "can not be
// unset", "cannot be modified once set". What only looks like it, as a quantity that may only grow, is not among them.
var immutable = regexp.MustCompile(`(?i)\bimmutable\b|\b(may not|can ?not) (change|be (changed|modified|updated|unset|cleared))\b|` +
	`\bupdates to .{1,80} (is|are) forbidden|\bupdates to \w+ spec for fields other than|forbidden after creation`)

// isAboutUID reports whether the UID that we demanded is not the object's.
func isAboutUID(err error) bool {
	status, ok := statusOf(err)
	if !ok || status.Details == nil || status.Code != http.StatusUnprocessableEntity {
		return false
	}
	return slices.ContainsFunc(status.Details.Causes,
		func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" })
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout())
}

func isNetwork(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(err.Error(), "connection") || strings.Contains(err.Error(), "http2:")
}

func isUnintelligible(err error) bool {
	var syntax *json.SyntaxError
	var unexpected *apierrors.UnexpectedObjectError
	return errors.As(err, &syntax) || errors.As(err, &unexpected) ||
		strings.Contains(err.Error(), "invalid character") || strings.Contains(err.Error(), "couldn't get version/kind")
}

// fieldConflict is one field that another manager owns with another value.
type fieldConflict struct {
	path    string
	manager string // as the server names it, with quotes: "kubectl" with subresource "scale" using apps/v1
}

// fieldConflicts reads them from the server's answer; none if the error is not about fields.
func fieldConflicts(err error) []fieldConflict {
	status, ok := statusOf(err)
	if !ok || status.Code != http.StatusConflict || status.Details == nil {
		return nil
	}
	var out []fieldConflict
	for _, cause := range status.Details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			out = append(out, fieldConflict{path: cause.Field, manager: strings.TrimPrefix(cause.Message,
				"conflict with ")})
		}
	}
	return out
}

func isFieldConflict(err error) bool { return len(fieldConflicts(err)) > 0 }

// describeConflicts is `.spec.replicas is owned by "kubectl" …`; the first few of them.
func describeConflicts(conflicts []fieldConflict) string {
	const shown = 3
	var parts []string
	for i, c := range conflicts {
		if i == shown {
			parts = append(parts, strconv.Itoa(len(conflicts)-shown)+" more")
			break
		}
		parts = append(parts, fmt.Sprintf("%s is owned by %s", c.path, c.manager))
	}
	return strings.Join(parts, ", ")
}

func quoted(texts []string) string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = strconv.Quote(t)
	}
	return strings.Join(out, ", ")
}
