package enroll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

const (
	clusterPath = "/apis/hanse.io/v1alpha1/clusters/"
	rolePath    = "/apis/rbac.authorization.k8s.io/v1/clusterroles/hanse-hub"
)

var memberPaths = []string{
	"/api/v1/namespaces/hanse-system",
	"/api/v1/namespaces/hanse-system/serviceaccounts/hanse-hub",
	"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/hanse-hub",
	rolePath,
	"/apis/rbac.authorization.k8s.io/v1/namespaces/hanse-system/rolebindings/hanse-hub",
	"/apis/rbac.authorization.k8s.io/v1/namespaces/hanse-system/roles/hanse-hub",
}

func quiet(string) {}

func join1(t *testing.T, hub, member *rest.Config, req Request) error {
	t.Helper()
	_, err := Join(t.Context(), hub, member, req, time.Now(), quiet)
	return err
}

func annotation(obj map[string]any, key string) string {
	meta, _ := obj["metadata"].(map[string]any)
	all, _ := meta["annotations"].(map[string]any)
	value, _ := all[key].(string)
	return value
}

func TestJoinMakesBothSides(t *testing.T) {
	hub, member := newServer(t, "hub-uid"), newServer(t, "east-uid")
	req := Request{Name: "east", Region: "eu-west-1", Zones: []string{"a"}, Labels: map[string]string{"env": "prod"}}
	if err := join1(t, hub.admin(), member.admin(), req); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(memberPaths, member.paths()); diff != "" {
		t.Errorf("objects in the member (-want,+got):\n%s", diff)
	}
	role := member.object(rolePath)
	if got := annotation(role, HubAnnotation); got != "hub-uid" {
		t.Errorf("the mark says hub %q", got)
	}
	cluster := hub.object(clusterPath + "east")
	if got := annotation(cluster, ClusterUIDAnnotation); got != "east-uid" {
		t.Errorf("the Cluster has the UID %q", got)
	}
	connection := cluster["spec"].(map[string]any)["connection"].(map[string]any)
	if connection["server"] != member.URL || connection["caBundle"] == nil {
		t.Errorf("connection: %v", connection)
	}
	secret := hub.object("/api/v1/namespaces/hanse-system/secrets/east")
	if secret["data"].(map[string]any)["token"] != "dG9rZW4tMQ==" { // token-1
		t.Errorf("the Secret has %v", secret["data"])
	}
	owner := secret["metadata"].(map[string]any)["ownerReferences"].([]any)[0].(map[string]any)
	if owner["kind"] != "Cluster" {
		t.Errorf("the Secret belongs to %v", owner)
	}
	for _, path := range memberPaths {
		if path == rolePath {
			continue
		}
		owners, _ := member.object(path)["metadata"].(map[string]any)["ownerReferences"].([]any)
		if len(owners) != 1 || owners[0].(map[string]any)["uid"] != role["metadata"].(map[string]any)["uid"] {
			t.Errorf("%s is not owned by the ClusterRole: %v", path, owners)
		}
	}
}

// Whatever request fails, on either side, nothing is left.
func TestJoinThatFailsLeavesNothing(t *testing.T) {
	hub, member := newServer(t, "hub-uid"), newServer(t, "east-uid")
	if err := join1(t, hub.admin(), member.admin(), Request{Name: "east"}); err != nil {
		t.Fatal(err)
	}
	writes := map[string][]string{"hub": hub.log, "member": member.log}
	for side, all := range writes {
		for i := range all {
			t.Run(fmt.Sprintf("%s write %d %s", side, i, all[i]), func(t *testing.T) {
				hub, member := newServer(t, "hub-uid"), newServer(t, "east-uid")
				broken := map[string]*apiServer{"hub": hub, "member": member}[side]
				n := 0
				broken.fail = func(method, path string) (int, string) {
					if method == http.MethodGet || strings.Contains(path, "selfsubject") {
						return 0, ""
					}
					n++
					if n == i+1 {
						return 500, "out of order"
					}
					return 0, ""
				}
				if err := join1(t, hub.admin(), member.admin(), Request{Name: "east"}); err == nil {
					t.Fatal("joined all the same")
				}
				if left := member.paths(); len(left) > 0 {
					t.Errorf("left in the member: %v", left)
				}
				left := hub.paths()
				if len(left) == 1 && left[0] == "/api/v1/namespaces/hanse-system" {
					left = nil // the hub's own
				}
				if len(left) > 0 {
					t.Errorf("left on the hub: %v", left)
				}
			})
		}
	}
}

func TestJoinThatIsCancelledLeavesNothing(t *testing.T) {
	hub, member := newServer(t, "hub-uid"), newServer(t, "east-uid")
	ctx, cancel := context.WithCancel(t.Context())
	member.fail = func(method, path string) (int, string) {
		if strings.HasSuffix(path, "/token") {
			cancel()
			return 500, "too late"
		}
		return 0, ""
	}
	_, err := Join(ctx, hub.admin(), member.admin(), Request{Name: "east"}, time.Now(), quiet)
	if err == nil {
		t.Fatal("joined all the same")
	}
	if left := append(member.paths(), hub.paths()...); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestJoinSaysWhatUndoingLeft(t *testing.T) {
	hub, member := newServer(t, "hub-uid"), newServer(t, "east-uid")
	member.fail = func(method, path string) (int, string) {
		if strings.HasSuffix(path, "/token") || method == http.MethodDelete && path == rolePath {
			return 500, "out of order"
		}
		return 0, ""
	}
	err := join1(t, hub.admin(), member.admin(), Request{Name: "east"})
	want := "ClusterRole /hanse-hub on the cluster at " + member.URL + " is left behind"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got: %v", err)
	}
}

// A namespace that was there before is nobody's to delete.
func TestJoinKeepsTheNamespaceThatWasThere(t *testing.T) {
	hub, member := newServer(t, "hub-uid"), newServer(t, "east-uid")
	const path = "/api/v1/namespaces/hanse-system"
	member.put(path, map[string]any{"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": "hanse-system", "uid": "theirs"}})
	member.fail = func(_, path string) (int, string) {
		if strings.HasSuffix(path, "/token") {
			return 500, "out of order"
		}
		return 0, ""
	}
	if err := join1(t, hub.admin(), member.admin(), Request{Name: "east"}); err == nil {
		t.Fatal("joined all the same")
	}
	if diff := cmp.Diff([]string{path}, member.paths()); diff != "" {
		t.Errorf("(-want,+got):\n%s", diff)
	}
	member.fail = nil
	if err := join1(t, hub.admin(), member.admin(), Request{Name: "east"}); err != nil {
		t.Fatal(err)
	}
	if owners := member.object(path)["metadata"].(map[string]any)["ownerReferences"]; owners != nil {
		t.Errorf("the namespace is now owned by %v", owners)
	}
}

func TestJoinRefusals(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()

	// Each case changes a pair that would join; want is the reason, says what the message must name.
	cases := []struct {
		name string
		set  func(hub, member *apiServer, h, m *rest.Config, req *Request)
		want Reason
		says string
	}{
		{"bad name", func(_, _ *apiServer, _, _ *rest.Config, req *Request) { req.Name = "East_1" }, BadName, `"East_1"`},
		{"name with dots", func(_, _ *apiServer, _, _ *rest.Config, req *Request) { req.Name = "a.b" }, BadName, `"a.b"`},
		{"nothing listens", func(_, _ *apiServer, _, m *rest.Config, _ *Request) {
			m.Host = "https://" + closed.Addr().String()
		}, Unreachable, closed.Addr().String()},
		{"no such host", func(_, _ *apiServer, _, m *rest.Config, _ *Request) {
			m.Host = "https://cluster.invalid"
		}, Unreachable, "cluster.invalid"},
		{"hub away", func(_, _ *apiServer, h, _ *rest.Config, _ *Request) {
			h.Host = "https://" + closed.Addr().String()
		}, Unreachable, "the hub at"},
		{"wrong CA", func(hub, _ *apiServer, _, m *rest.Config, _ *Request) {
			m.CAData = hub.ca
		}, WrongCA, "not signed by the CA"},
		{"client certificate ended", func(_, _ *apiServer, _, m *rest.Config, _ *Request) {
			m.BearerToken = ""
			m.CertData, m.KeyData = clientCertificate(t, time.Now().Add(-time.Hour))
		}, ExpiredCredentials, "client certificate"},
		{"credentials refused", func(_, member *apiServer, _, _ *rest.Config, _ *Request) {
			member.fail = func(string, string) (int, string) { return 401, "Unauthorized" }
		}, Unauthorized, "does not accept the credentials"},
		{"not Kubernetes", func(_, _ *apiServer, _, m *rest.Config, _ *Request) {
			m.Host = htmlServer(t, m)
		}, NotKubernetes, "not the API server"},
		{"no TLS there", func(_, _ *apiServer, _, m *rest.Config, _ *Request) {
			s := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(s.Close)
			m.Host = strings.Replace(s.URL, "http:", "https:", 1)
		}, NotKubernetes, "does not speak TLS"},
		{"too old", func(_, member *apiServer, _, _ *rest.Config, _ *Request) {
			member.version = "v1.32.9"
		}, Unsupported, "v1.32.9"},
		{"no hub", func(hub, _ *apiServer, _, _ *rest.Config, _ *Request) {
			hub.fail = func(_, path string) (int, string) {
				if strings.HasSuffix(path, "/clusters") {
					return 404, "404 page not found"
				}
				return 0, ""
			}
		}, NotHanse, "is not a hub"},
		{"the hub itself", func(_, _ *apiServer, h, m *rest.Config, _ *Request) {
			m.Host, m.CAData = h.Host, h.CAData
		}, IsHub, "hub itself"},
		{"name taken", func(hub, _ *apiServer, _, _ *rest.Config, _ *Request) {
			hub.put(clusterPath+"east", clusterObject("east", "other-uid"))
		}, NameTaken, "another cluster has the name east"},
		{"joined already", func(hub, _ *apiServer, _, _ *rest.Config, _ *Request) {
			hub.put(clusterPath+"east", clusterObject("east", "east-uid"))
		}, AlreadyJoined, "as east already"},
		{"joined under another name", func(hub, _ *apiServer, _, _ *rest.Config, _ *Request) {
			hub.put(clusterPath+"ost", clusterObject("ost", "east-uid"))
		}, AlreadyJoined, "under the name ost"},
		{"joined to another hub", func(_, member *apiServer, _, _ *rest.Config, _ *Request) {
			m := mark{hub: "hub-2", server: "https://hub2.example", name: "osten"}
			member.put(rolePath, roleObject(m.annotations()))
		}, OtherHub, "https://hub2.example (hub-2) already, as osten"},
		{"foreign role of that name", func(_, member *apiServer, _, _ *rest.Config, _ *Request) {
			member.put(rolePath, roleObject(nil))
		}, Foreign, "did not make"},
		{"permissions missing in the member", func(_, member *apiServer, _, _ *rest.Config, _ *Request) {
			member.denied = []string{memberNeeds[0].String(), memberNeeds[8].String()}
		}, Forbidden, "create clusterroles (rbac.authorization.k8s.io); create serviceaccounts/token in hanse-system"},
		{"permissions missing on the hub", func(hub, _ *apiServer, _, _ *rest.Config, _ *Request) {
			hub.denied = []string{hubNeeds[0].String()}
		}, Forbidden, "create clusters (hanse.io)"},
		{"server is no URL", func(_, _ *apiServer, _, _ *rest.Config, req *Request) {
			req.Server = "10.0.0.1:6443"
		}, UnusableServer, "10.0.0.1:6443"},
		{"renewal of what is not there", func(_, _ *apiServer, _, _ *rest.Config, req *Request) {
			req.Renew = true
		}, NotFound, "no membership of east"},
		{"a Secret of somebody has the name", func(hub, _ *apiServer, _, _ *rest.Config, _ *Request) {
			hub.put("/api/v1/namespaces/hanse-system/secrets/east", map[string]any{"apiVersion": "v1", "kind": "Secret",
				"metadata": map[string]any{"name": "east", "namespace": "hanse-system", "uid": "x"}})
		}, NameTaken, "Secret hanse-system/east"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			hub, member := newServer(t, "hub-uid"), newServer(t, "east-uid")
			h, m, req := hub.admin(), member.admin(), Request{Name: "east"}
			c.set(hub, member, h, m, &req)
			before := member.paths()
			err := join1(t, h, m, req)
			var p *Problem
			if !errors.As(err, &p) || p.Reason != c.want {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not say %q", err, c.says)
			}
			if p.Next == "" {
				t.Errorf("%q does not say what to do next", err)
			}
			if diff := cmp.Diff(before, member.paths()); diff != "" {
				t.Errorf("changed in the member (-before,+after):\n%s", diff)
			}
		})
	}
}

func TestJoinRefusesServingCertificates(t *testing.T) {
	cases := []struct {
		name     string
		notAfter time.Time
		host     string
		want     Reason
	}{
		{"expired", time.Now().Add(-time.Hour), "127.0.0.1", ExpiredCertificate},
		{"for another host", time.Now().Add(time.Hour), "cluster.example", WrongHost},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			hub, member := newServer(t, "hub-uid"), newServerWith(t, "east-uid", c.notAfter, c.host)
			if err := join1(t, hub.admin(), member.admin(), Request{Name: "east"}); ReasonOf(err) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// A member that hangs ends a join by the deadline of the request, not never.
func TestJoinOfAServerThatHangs(t *testing.T) {
	hub := newServer(t, "hub-uid")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	member := &rest.Config{Host: "https://" + listener.Addr().String()}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = Join(ctx, hub.admin(), member, Request{Name: "east"}, time.Now(), quiet)
	if ReasonOf(err) != Unreachable {
		t.Errorf("got %v", err)
	}
}

// A member that was cleared by force on the hub keeps our mark: it may come back, also under another name.
func TestJoinAgainAfterForcedUnjoin(t *testing.T) {
	hub, member := newServer(t, "hub-uid"), newServer(t, "east-uid")
	if err := join1(t, hub.admin(), member.admin(), Request{Name: "east"}); err != nil {
		t.Fatal(err)
	}
	if err := Unjoin(t.Context(), hub.admin(), LeaveRequest{Name: "east", Force: true}, quiet); err != nil {
		t.Fatal(err)
	}
	if err := join1(t, hub.admin(), member.admin(), Request{Name: "osten"}); err != nil {
		t.Fatal(err)
	}
	if got := annotation(member.object(rolePath), NameAnnotation); got != "osten" {
		t.Errorf("the mark says %q", got)
	}
}

func TestRenewGivesNewTokenAndRole(t *testing.T) {
	hub, member := newServer(t, "hub-uid"), newServer(t, "east-uid")
	if err := join1(t, hub.admin(), member.admin(), Request{Name: "east", Region: "eu"}); err != nil {
		t.Fatal(err)
	}
	req := Request{Name: "east", Renew: true, APIGroups: []string{"example.org"}}
	if err := join1(t, hub.admin(), member.admin(), req); err != nil {
		t.Fatal(err)
	}
	secret := hub.object("/api/v1/namespaces/hanse-system/secrets/east")
	if secret["data"].(map[string]any)["token"] != "dG9rZW4tMg==" { // token-2
		t.Errorf("the Secret has %v", secret["data"])
	}
	if rules := fmt.Sprint(member.object(rolePath)["rules"]); !strings.Contains(rules, "example.org") {
		t.Errorf("the role has %v", rules)
	}
	if spec := hub.object(clusterPath + "east")["spec"].(map[string]any); spec["region"] != "eu" {
		t.Errorf("the region was lost: %v", spec)
	}
}

func TestLoopbackAddressIsRefusedForARemoteHub(t *testing.T) {
	hub := &rest.Config{Host: "https://hub.example:7443"}
	member := &rest.Config{Host: "https://127.0.0.1:6443"}
	if _, err := connectionOf(member, hub, "", quiet); ReasonOf(err) != UnusableServer {
		t.Errorf("got %v", err)
	}
	if _, err := connectionOf(member, hub, "https://10.0.0.1:6443", quiet); err != nil {
		t.Errorf("with --server: %v", err)
	}
}

func clusterObject(name, uid string) map[string]any {
	return map[string]any{"apiVersion": "hanse.io/v1alpha1", "kind": "Cluster",
		"metadata": map[string]any{"name": name, "uid": "cluster-" + name},
		"status":   map[string]any{"uid": uid}}
}

func roleObject(annotations map[string]string) map[string]any {
	all := map[string]any{}
	for k, v := range annotations {
		all[k] = v
	}
	return map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
		"metadata": map[string]any{"name": AccountName, "uid": "role", "annotations": all}}
}
