package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// status is an answer with the given code, reason and text.
func status(code int32, reason metav1.StatusReason, text string, details ...*metav1.StatusDetails) error {
	s := metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: text}
	if len(details) > 0 {
		s.Details = details[0]
	}
	return &apierrors.StatusError{ErrStatus: s}
}

func overNetwork(err error) error {
	return &url.Error{Op: "Patch", URL: "https://member/api", Err: err}
}

func TestClassify(t *testing.T) {
	gr := schema.GroupResource{Group: "apps", Resource: "deployments"}
	gk := schema.GroupKind{Group: "apps", Kind: "Deployment"}
	terminating := apierrors.NewForbidden(gr, "web", errors.New("namespace shop is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	syntax := json.Unmarshal([]byte("<html>"), &struct{}{})
	for _, c := range []struct {
		err     error
		verdict Verdict
		reason  Reason
		after   time.Duration
		trouble bool // the member's
		says    string
	}{
		{context.Canceled, Pending, ReasonCanceled, time.Second, false, ""},
		{overNetwork(context.Canceled), Pending, ReasonCanceled, time.Second, false, ""},
		{&meta.NoKindMatchError{GroupKind: gk}, Failed, ReasonKindMissing, time.Second, false, "install it"},
		{apierrors.NewApplyConflict([]metav1.StatusCause{
			{Type: metav1.CauseTypeFieldManagerConflict, Message: `conflict with "kubectl" using apps/v1`, Field: ".spec.replicas"},
		}, "Apply failed"), Conflict, ReasonFieldOwned, 5 * time.Minute, false, `Deployment shop/web: .spec.replicas is owned by "kubectl" using apps/v1`},
		{status(403, metav1.StatusReasonForbidden, `admission webhook "policy.example" denied the request: no latest tag on "web"`),
			Failed, ReasonDenied, 5 * time.Second, false, "no latest tag"},
		{status(400, metav1.StatusReasonBadRequest, `admission webhook "x" denied the request: web`), Failed, ReasonDenied, 5 * time.Second, false, ""},
		{status(500, metav1.StatusReasonInternalError, `Internal error occurred: failed calling webhook "x": web`),
			Failed, ReasonWebhookBroken, 5 * time.Second, false, "does not answer"},
		{status(422, metav1.StatusReasonInvalid, `Service "web" is invalid: spec.ports[0].nodePort: Invalid value: 30500: provided `+
			`port is already allocated`), Failed, ReasonTaken, 5 * time.Second, false, "tried again"},
		{status(422, metav1.StatusReasonInvalid, `RoleBinding "web" is invalid: roleRef: Invalid value: cannot change roleRef`),
			Failed, ReasonImmutable, 0, false, "undo the change"},
		{status(422, metav1.StatusReasonInvalid, `StorageClass "web" is invalid: parameters: Forbidden: updates to parameters `+
			`are forbidden.`), Failed, ReasonImmutable, 0, false, "undo the change"},
		{status(422, metav1.StatusReasonInvalid, `PersistentVolumeClaim "web" is invalid: spec.resources.requests.storage: `+
			`Forbidden: field can not be less than status.capacity`), Failed, ReasonInvalid, 5 * time.Minute, false, ""},
		{apierrors.NewForbidden(gr, "web", errors.New("exceeded quota: q, requested: pods=1")), Failed, ReasonQuota, 10 * time.Second, false, "exceeded quota"},
		{terminating, Pending, ReasonNamespaceEnding, 2 * time.Second, false, ""},
		{apierrors.NewForbidden(gr, "web", errors.New(`User "hanse" cannot patch`)), Failed, ReasonForbidden, time.Minute, false, "permission"},
		{apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop"), Pending, ReasonNamespaceMissing, time.Second, false, "shop"},
		{status(404, metav1.StatusReasonNotFound, "the server could not find the requested resource"), Failed, ReasonKindMissing, time.Second, false, ""},
		{apierrors.NewForbidden(gr, "web", errors.New("create not allowed while custom resource definition is terminating")),
			Pending, ReasonKindMissing, time.Second, false, "terminating"},
		{apierrors.NewUnauthorized("Unauthorized"), Failed, ReasonUnauthorized, 10 * time.Second, true, "renew"},
		{apierrors.NewConflict(gr, "web", errors.New("modified")), Pending, ReasonChanged, time.Second, false, ""},
		{apierrors.NewInvalid(gk, "web", field.ErrorList{field.Invalid(field.NewPath("spec", "selector"), "x", "field is immutable")}),
			Failed, ReasonImmutable, 0, false, "cannot be changed once set"},
		{apierrors.NewInvalid(gk, "web", field.ErrorList{field.Required(field.NewPath("spec"), "")}), Failed, ReasonInvalid, 5 * time.Minute, false, "spec"},
		{apierrors.NewRequestEntityTooLargeError("limit is 3145728"), Failed, ReasonTooLarge, 0, false, ""},
		{status(500, metav1.StatusReasonUnknown, "etcdserver: request is too large"), Failed, ReasonTooLarge, 0, false, ""},
		{apierrors.NewTooManyRequests("later", 7), Failed, ReasonBusy, 7 * time.Second, true, ""},
		{apierrors.NewTooManyRequests("later", 999999), Failed, ReasonBusy, 5 * time.Minute, true, ""},
		{status(429, metav1.StatusReasonTooManyRequests, "later"), Failed, ReasonBusy, time.Second, true, ""},
		{apierrors.NewInternalError(errors.New("oops")), Failed, ReasonServerError, 5 * time.Second, false, "oops"},
		{apierrors.NewServiceUnavailable("starting"), Failed, ReasonServerError, time.Second, true, ""},
		{apierrors.NewTimeoutError("slow", 0), Failed, ReasonTimeout, time.Second, true, ""},
		{overNetwork(context.DeadlineExceeded), Failed, ReasonTimeout, time.Second, true, "may or may not"},
		{overNetwork(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), Failed, ReasonUnreachable, time.Second, true, ""},
		{overNetwork(io.EOF), Failed, ReasonUnreachable, time.Second, true, ""},
		{syntax, Failed, ReasonUnintelligible, 10 * time.Second, true, "not a Kubernetes API"},
		{&unusable{ref: Ref{Name: "web"}, why: "it has no namespace"}, Failed, ReasonInvalid, 0, false, "no namespace"},
		{errors.New("something else"), Failed, ReasonUnknown, 10 * time.Second, false, "something else"},
	} {
		ref := Ref{GVK: gk.WithVersion("v1"), Namespace: "shop", Name: "web"}
		for _, err := range []error{c.err, fmt.Errorf("wrapped: %w", c.err)} {
			got := classify(ref, err)
			if got.Verdict != c.verdict || got.Reason != c.reason || got.RetryAfter != c.after || got.MemberTrouble != c.trouble {
				t.Errorf("%v:\n got %s after %s (member's trouble %v)\nwant %s (%s) after %s (%v)",
					err, got, got.RetryAfter, got.MemberTrouble, c.verdict, c.reason, c.after, c.trouble)
			}
			if !strings.Contains(got.Message, c.says) || strings.Contains(got.Message, "\n") {
				t.Errorf("%v: message %q, want %q", err, got.Message, c.says)
			}
			if !errors.Is(got.Err, c.err) {
				t.Errorf("%v: the cause is lost", err)
			}
		}
	}
}

func TestMessagesAreBounded(t *testing.T) {
	got := classify(Ref{Name: "web"}, status(400, "", strings.Repeat("ü\xff", 5000)))
	if len(got.Message) > maxMessage+10 {
		t.Errorf("%d bytes", len(got.Message))
	}
}
