package relay

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
	"k8s.io/apiserver/pkg/authentication/user"
)

// answer sends an error as a Status of the Kubernetes API, which every client of it reads.
func answer(w http.ResponseWriter, err error) {
	var told apierrors.APIStatus
	if !errors.As(err, &told) {
		told = apierrors.NewInternalError(err)
	}
	status := told.Status()
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

// maxRefusal is how much of a refusal is looked at.
const maxRefusal = 64 << 10

// explainForbidden tells the caller what to do when it is not the caller who lacks a right in the member but the hub: that
// to act as somebody. Other refusals are the member's own word and are passed on as they are.
func (e exchange) explainForbidden(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err != nil {
		return err
	}
	whom, ok := impersonationRefused(text)
	if !ok {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(text), resp.Body), resp.Body}
		return nil
	}
	_ = resp.Body.Close()
	return refusal(fmt.Sprintf("the hub may not act as %s in cluster %s, so nobody can work there through the hub as %s."+
		" Who administers the cluster can allow it: hanse join %s --renew --cluster-kubeconfig FILE %s"+
		" (with the flags that it was joined with)", whom, e.name, e.caller.GetName(), e.name, grantFor(e.caller)))
}

// refusal is 403.
func refusal(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: message,
	}}
}

// refused is what Kubernetes says of an impersonation that is not allowed, after the quotes of JSON are undone.
var refused = regexp.MustCompile(`(users?|groups?|serviceaccounts?|userextras|uids)\S* "([^"]*)" is forbidden: ` +
	`User "[^"]*" cannot impersonate resource`)

// impersonationRefused finds out whom the hub was not allowed to act as; the text may be JSON or protobuf.
func impersonationRefused(text []byte) (whom string, ok bool) {
	found := refused.FindSubmatch(bytes.ReplaceAll(text, []byte(`\"`), []byte(`"`)))
	if found == nil {
		return "", false
	}
	return fmt.Sprintf("%s %q", bytes.TrimSuffix(found[1], []byte("s")), found[2]), true
}

// grantFor is the flag of hanse join that lets the hub act as the caller.
func grantFor(caller user.Info) string {
	who := whoIs(caller)
	if strings.HasPrefix(who.UserName, "system:serviceaccount:") {
		return "--impersonate all"
	}
	flags := []string{"--impersonate user:" + who.UserName}
	for _, group := range who.Groups {
		flags = append(flags, "--impersonate group:"+group)
	}
	return strings.Join(flags, " ")
}
