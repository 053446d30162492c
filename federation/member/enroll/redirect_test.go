package enroll

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// No client follows a redirect, whatever the request and wherever it leads; the error says what happened.
func TestRedirectsAreRefused(t *testing.T) {
	var stolen atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	defer thief.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{thief.URL + "/", "/api/v1/namespaces/prod"} {
			asked := 0
			hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				http.Redirect(w, r, to, code)
			}))
			config := &rest.Config{Host: hub.URL, BearerToken: "mine"}
			RefuseRedirects(config)
			kube, err := kubernetes.NewForConfig(rest.CopyConfig(config))
			if err != nil {
				t.Fatal(err)
			}
			err = kube.CoreV1().Pods("a").Delete(t.Context(), "web", metav1.DeleteOptions{})
			if err = Diagnose("the hub", err); ReasonOf(err) != NotKubernetes || !strings.Contains(err.Error(), to) {
				t.Errorf("%d to %s: %v", code, to, err)
			}
			c, err := NewClient(config)
			if err != nil {
				t.Fatal(err)
			}
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b"}}
			if err := Diagnose("the hub", c.Create(t.Context(), secret)); ReasonOf(err) != NotKubernetes {
				t.Errorf("%d to %s: %v", code, to, err)
			}
			if stolen.Load() > 0 || asked != 2 {
				t.Errorf("%d to %s: the hub is asked %d times, the thief %d", code, to, asked, stolen.Load())
			}
			hub.Close()
		}
	}
}
