package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// send makes one plain HTTP request as the administrator and returns status code and body.
func (h *hub) send(t testing.TB, method, path, contentType, body string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+admin)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := h.http.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, string(raw), resp.Header
}

// Bad input gets a Status that says what is wrong, and nothing of it is stored.
func TestRefused(t *testing.T) {
	ns := common.namespace(t)
	maps := "/api/v1/namespaces/" + ns + "/configmaps"
	if code, body, _ := common.send(t, "POST", maps, "application/json", `{"metadata":{"name":"there"},"data":{"a":"1"}}`); code != 201 {
		t.Fatalf("create: %d %s", code, body)
	}
	const asJSON = "application/json"
	large := `{"metadata":{"name":"c"},"data":{"a":"` + strings.Repeat("x", 4<<20) + `"}}`
	for _, test := range []struct {
		name, method, path, contentType, body string
		code                                  int
		says                                  string
	}{
		{"JSON cut short", "POST", maps, asJSON, `{"metadata":`, 400, "unexpected end of JSON"},
		{"no JSON", "POST", maps, asJSON, `hello`, 400, ""},
		{"empty body", "POST", maps, asJSON, ``, 400, ""},
		{"YAML cut short", "POST", maps, "application/yaml", "metadata: {name: c", 400, ""},
		{"protobuf of nothing", "POST", maps, "application/vnd.kubernetes.protobuf", "\x00\x01\x02", 400, ""},
		{"another kind", "POST", maps, asJSON, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"c"}}`, 400, ""},
		{"wrong type of a field", "POST", maps, asJSON, `{"metadata":{"name":"c"},"data":{"a":1}}`, 400, "data"},
		{"unknown field, strict", "POST", maps + "?fieldValidation=Strict", asJSON,
			`{"metadata":{"name":"c"},"dataa":{}}`, 400, `unknown field "dataa"`},
		{"field twice, strict", "POST", maps + "?fieldValidation=Strict", asJSON,
			`{"metadata":{"name":"c"},"data":{"a":"1","a":"2"}}`, 400, `duplicate field "data.a"`},
		{"unknown fieldValidation", "POST", maps + "?fieldValidation=Maybe", asJSON, `{"metadata":{"name":"c"}}`, 422, "fieldValidation"},
		{"unknown dryRun", "POST", maps + "?dryRun=Some", asJSON, `{"metadata":{"name":"c"}}`, 422, "dryRun"},
		{"no name", "POST", maps, asJSON, `{}`, 422, "name or generateName is required"},
		{"another namespace", "POST", maps, asJSON, `{"metadata":{"name":"c","namespace":"default"}}`, 400, "namespace"},
		{"body too large", "POST", maps, asJSON, large, 413, ""},
		{"content type", "POST", maps, "text/plain", `{}`, 415, "application/json"},
		{"patch type", "PATCH", maps + "/there", "application/json", `{}`, 415, ""},
		{"patch that is no patch", "PATCH", maps + "/there", "application/json-patch+json", `{"a":1}`, 400, ""},
		{"patch of a missing path", "PATCH", maps + "/there", "application/json-patch+json",
			`[{"op":"remove","path":"/data/none"}]`, 422, ""},
		{"apply without a manager", "PATCH", maps + "/there", "application/apply-patch+yaml",
			`{"apiVersion":"v1","kind":"ConfigMap"}`, 422, "fieldManager"},
		{"PUT with another name", "PUT", maps + "/there", asJSON, `{"metadata":{"name":"other"}}`, 400, "name"},
		{"PUT of nothing", "PUT", maps + "/none", asJSON, `{"metadata":{"name":"none"}}`, 404, "not found"},
		{"stale PUT", "PUT", maps + "/there", asJSON, `{"metadata":{"name":"there","resourceVersion":"1"}}`, 409, "modified"},
		{"exists", "POST", maps, asJSON, `{"metadata":{"name":"there"}}`, 409, "already exists"},
		{"missing namespace", "POST", "/api/v1/namespaces/nowhere/configmaps", asJSON, `{"metadata":{"name":"c"}}`, 404,
			`namespaces "nowhere" not found`},
		{"missing object", "GET", maps + "/none", "", "", 404, `configmaps "none" not found`},
		{"missing resource", "GET", "/api/v1/namespaces/" + ns + "/nothings", "", "", 404, ""},
		{"missing group", "GET", "/apis/nothing.example/v1/things", "", "", 404, ""},
		{"missing path", "GET", "/nothing", "", "", 404, ""},
		{"cluster kind in a namespace", "GET", "/api/v1/namespaces/" + ns + "/nodes", "", "", 404, ""},
		{"name without a namespace", "GET", "/api/v1/configmaps/there", "", "", 404, ""},
		{"verb of another kind", "DELETE", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/x", "", "", 405, ""},
		{"future resourceVersion", "GET", maps + "?resourceVersion=99999999999&resourceVersionMatch=Exact", "", "", 504, ""},
		{"list of no version", "GET", maps + "?resourceVersion=abc", "", "", 400, ""},
		{"bad label selector", "GET", maps + "?labelSelector=a==b==c", "", "", 400, ""},
		{"continue token of nobody", "GET", maps + "?limit=1&continue=abc", "", "", 400, "continue"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, body, _ := common.send(t, test.method, test.path, test.contentType, test.body)
			if code != test.code {
				t.Fatalf("%d, want %d: %.300s", code, test.code, body)
			}
			var status metav1.Status
			if err := json.Unmarshal([]byte(body), &status); err != nil || status.Kind != "Status" || int(status.Code) != code {
				t.Fatalf("the answer is no Status: %.300s", body)
			}
			if !strings.Contains(status.Message, test.says) {
				t.Errorf("says %q, want %q in it", status.Message, test.says)
			}
		})
	}
	_, body, _ := common.send(t, "GET", maps, "", "")
	var list corev1.ConfigMapList
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].Data["a"] != "1" || len(list.Items[0].Data) != 1 {
		t.Errorf("the refused requests left %+v", list.Items)
	}
}

// Without strict validation an unknown field is dropped, and the client is told.
func TestUnknownFieldWarns(t *testing.T) {
	ns := common.namespace(t)
	code, body, header := common.send(t, "POST", "/api/v1/namespaces/"+ns+"/configmaps?fieldValidation=Warn", "application/json",
		`{"metadata":{"name":"c"},"dataa":{}}`)
	if code != http.StatusCreated || !strings.Contains(header.Get("Warning"), `unknown field \"dataa\"`) {
		t.Errorf("%d, warning %q: %s", code, header.Get("Warning"), body)
	}
}

// What native validation refuses is named by field.
func TestInvalidTemplates(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	d := deployment("d", -1)
	d.Spec.Selector.MatchLabels = map[string]string{"other": "x"}
	_, err := client.AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{})
	var fields []string
	if status, ok := err.(apierrors.APIStatus); ok && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			fields = append(fields, cause.Field)
		}
	}
	if got := fmt.Sprint(fields); !apierrors.IsInvalid(err) || !strings.Contains(got, "spec.replicas") ||
		!strings.Contains(got, "spec.template.metadata.labels") {
		t.Errorf("%v, fields %s", err, got)
	}
}

// A watch that begins where history is gone gets 410 and lists again.
func TestExpiredWatch(t *testing.T) {
	dir := t.TempDir()
	h := start(t, dir, nil)
	for _, value := range []string{"1", "2"} {
		c := configMap("c"+value, value)
		if _, err := h.client(t, admin).CoreV1().ConfigMaps("default").Create(t.Context(), c, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	h = start(t, dir, nil) // its caches begin after these writes
	w, err := h.client(t, admin).CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{ResourceVersion: "1"})
	if err == nil {
		defer w.Stop()
		select {
		case event := <-w.ResultChan():
			err = apierrors.FromObject(event.Object)
		case <-time.After(10 * time.Second):
			t.Fatal("the watch stays open and silent")
		}
	}
	if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
		t.Errorf("watch from revision 1: %v, want 410", err)
	}
}

// Garbage on the connection costs the sender its connection and nobody else theirs.
func FuzzBody(f *testing.F) {
	f.Add("application/json", []byte(`{"metadata":{"name":"c"}}`))
	f.Add("application/yaml", []byte("a: &a [*a]"))
	f.Add("application/vnd.kubernetes.protobuf", []byte("k8s\x00\x0a\x0f\x0a\x02v1\x12\x09ConfigMap"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		req, err := http.NewRequestWithContext(t.Context(), "POST",
			common.url+"/api/v1/namespaces/default/configmaps?dryRun=All", bytes.NewReader(body))
		if err != nil {
			return
		}
		req.Header = http.Header{"Authorization": {"Bearer " + admin}, "Content-Type": {strings.ToValidUTF8(contentType, "")}}
		resp, err := common.http.Do(req)
		if err != nil {
			return // a header that cannot be sent
		}
		_ = resp.Body.Close()
		if resp.StatusCode >= 500 {
			t.Errorf("%d for %q", resp.StatusCode, body)
		}
	})
}

var placements = schema.GroupVersionResource{Group: "hanse.io", Version: "v1alpha1", Resource: "placements"}
