package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// hubAnswering is a kubeconfig of a hub that answers with a handler.
func hubAnswering(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	hub := httptest.NewServer(handler)
	t.Cleanup(hub.Close)
	path := filepath.Join(t.TempDir(), "hub.kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"x",
		"clusters":[{"name":"x","cluster":{"server":%q}}],"users":[{"name":"x","user":{"token":"mine"}}],
		"contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}]}`, hub.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What members and tenants wrote reaches no terminal raw, in whatever form it is printed, and fakes no row of a table.
func TestForeignTextIsEscaped(t *testing.T) {
	const evil = "\x1b[2J\x1b]0;PWNED\a red\u202e \u009b31m\rgone\nwest   True   all is well"
	var list v1alpha1.ClusterList
	list.APIVersion, list.Kind = "hanse.io/v1alpha1", "ClusterList"
	one := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "east"}}
	one.Spec.Region = evil
	one.Status.KubernetesVersion = "v1.37.0" + evil
	one.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: "ServerError", Message: evil}}
	list.Items = append(list.Items, one)
	isBroken := false
	path := hubAnswering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if isBroken {
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
				Status: "Failure", Reason: "Forbidden", Code: 403, Message: evil})
			return
		}
		_ = json.NewEncoder(w).Encode(list)
	})
	for _, format := range []string{"", "-o wide", "-o json", "-o yaml", "broken"} {
		isBroken = format == "broken"
		args := strings.Fields("clusters --kubeconfig " + path + " " + strings.TrimPrefix(format, "broken"))
		_, stdout, stderr := hanse(t, "", args...)
		if said := stdout + stderr; said == "" || printable.Text(said) != said {
			t.Errorf("%q prints %q", format, said)
		}
		if rows := strings.Count(stdout, "\n"); strings.HasPrefix(format+"-o wide", "-o wide") && !isBroken && rows != 2 {
			t.Errorf("%q prints %d rows: %q", format, rows, stdout)
		}
		if format == "-o json" {
			var read v1alpha1.ClusterList
			if err := json.Unmarshal([]byte(stdout), &read); err == nil && len(read.Items) == 1 {
				continue
			}
			var items []v1alpha1.Cluster
			if err := json.Unmarshal([]byte(stdout), &items); err != nil || items[0].Spec.Region != evil {
				t.Errorf("the JSON does not say what the hub said: %v", err)
			}
		}
	}
}

// A hub that leads elsewhere is not followed, and nobody else is shown the user's token.
func TestCommandsFollowNoRedirect(t *testing.T) {
	var stolen atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	defer thief.Close()
	path := hubAnswering(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	manifest := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(manifest, []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"clusters", "get pods", "logs deployment/web", "exec deployment/web -- ls", "plan -f " + manifest, "kubeconfig",
		"drain east", "token robot", "dns log", "version", "unjoin east", "status deployment/web",
		"join east --cluster-kubeconfig " + path,
	} {
		_, _, stderr := hanse(t, "", append([]string{"--kubeconfig", path}, strings.Fields(args)...)...)
		if stolen.Load() > 0 {
			t.Fatalf("%s: goes to the thief; it says %q", args, stderr)
		}
		if !strings.Contains(stderr, "redirect") && !strings.Contains(stderr, "status 307") && args != "version" {
			t.Errorf("%s: does not say why: %q", args, stderr)
		}
	}
}

func TestLogLines(t *testing.T) {
	for _, c := range []struct {
		isRaw bool
		want  string
	}{
		{false, "[east/web\\u001b[2J] \x1b[31mred\x1b[0m \\u001b]0;x\\u0007\n"},
		{true, "[east/web\\u001b[2J] \x1b[31mred\x1b[0m \x1b]0;x\a\n"},
	} {
		var out bytes.Buffer
		w := &lineWriter{w: &out, isRaw: c.isRaw}
		if err := w.copy("[east/web\x1b[2J] ", strings.NewReader("\x1b[31mred\x1b[0m \x1b]0;x\a\n")); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want {
			t.Errorf("raw %t: %q, want %q", c.isRaw, out.String(), c.want)
		}
	}
}
