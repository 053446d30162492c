package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/transport"

	"github.com/hanse-federation/hanse/federation/member/enroll"
)

// answer sends an error as a Status of the Kubernetes API, which every client of it reads.
//
// Discovery is the exception: of a failed discovery client-go, and so kubectl, shows a text of its own instead of the
// Status, except for plain text with 403 or a code from 500 on that it has no words for. 502 is such a one.
func answer(w http.ResponseWriter, req *http.Request, err error) {
	var told apierrors.APIStatus
	if !errors.As(err, &told) {
		told = apierrors.NewInternalError(err)
	}
	status := told.Status()
	if isDiscovery(req.URL.Path) {
		if status.Code != http.StatusForbidden {
			status.Code = http.StatusBadGateway
		}
		http.Error(w, status.Message, int(status.Code))
		return
	}
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	raw, err := json.Marshal(status)
	if err != nil {
		http.Error(w, status.Message, int(status.Code))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(int(status.Code))
	_, _ = w.Write(raw)
}

// isDiscovery tells /api, /apis/apps/v1 and /openapi/v3 from what is below them, and from all else.
func isDiscovery(path string) bool {
	switch parts := strings.Split(strings.Trim(path, "/"), "/"); parts[0] {
	case "api":
		return len(parts) <= 2
	case "apis":
		return len(parts) <= 3
	case "openapi":
		return true
	}
	return false
}

// maxRefusal is how much of a refusal is looked at.
const maxRefusal = 64 << 10

// explainForbidden tells the caller what to do when it is not the caller who lacks a right in the member but the hub: that
// to act as somebody. Other refusals are the member's own word and are passed on as they are.
func (e exchange) explainForbidden(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err != nil {
		return err
	}
	if !refused.Match(text) {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(text), resp.Body), resp.Body}
		return nil
	}
	_ = resp.Body.Close()
	who := whoIs(e.caller)
	as := fmt.Sprintf("user %q", who.UserName)
	for _, group := range who.Groups {
		as += fmt.Sprintf(", group %q", group)
	}
	return refusal(fmt.Sprintf("the hub may not act as you (%s) in cluster %s. Who administers the cluster can allow it:"+
		" hanse join %s --renew --cluster-kubeconfig FILE %s, beside the flags of the first join",
		as, e.name, e.name, grantFor(who)))
}

// refusal is 403.
func refusal(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: message,
	}}
}

// refused is what Kubernetes says of an impersonation that is not allowed, in JSON or protobuf. Older members name what
// must not be impersonated (verb impersonate), newer ones what must not be done as somebody else
// (impersonate-on:user-info:list). Requests reach a member without any impersonation of the caller's.
var refused = regexp.MustCompile(`User \\?"[^"]*" cannot impersonate[-: ]`)

// grantFor is the flag of hanse join that lets the hub act as the caller.
func grantFor(who transport.ImpersonationConfig) string {
	if strings.HasPrefix(who.UserName, "system:serviceaccount:") {
		return "--impersonate " + enroll.Everybody
	}
	flags := "--impersonate user:" + who.UserName
	for _, group := range who.Groups {
		flags += " --impersonate group:" + group
	}
	return flags
}
