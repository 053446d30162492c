package enroll

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// apiServer is a stand-in for a cluster or a hub: a real TLS server that keeps objects, gives out UIDs, honours
// preconditions and finalizers, answers reviews and makes tokens. What matters to a join can be set.
type apiServer struct {
	*httptest.Server
	ca []byte // PEM

	mu      sync.Mutex
	objects map[string]map[string]any // by path
	uids    int
	// version that it says it is.
	version string
	// denied are the needs that the administrator lacks, as need.String.
	denied []string
	// fail answers a request instead of the server, if it returns a status.
	fail func(method, path string) (status int, message string)
	// tokenLife of what it gives out.
	tokenLife time.Duration
	tokens    int
	// log has every write, as "POST /path".
	log []string
}

// certificate is a CA and a serving certificate of it.
func certificate(t *testing.T, notAfter time.Time, host string) (tls.Certificate, []byte) {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test-ca"}, IsCA: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"},
		NotBefore: time.Now().Add(-47 * time.Hour), NotAfter: notAfter}
	if ip := net.ParseIP(host); ip != nil {
		leaf.IPAddresses = []net.IP{ip}
	} else {
		leaf.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
}

func newServer(t *testing.T, uid string) *apiServer {
	t.Helper()
	return newServerWith(t, uid, time.Now().Add(time.Hour), "127.0.0.1")
}

func newServerWith(t *testing.T, uid string, notAfter time.Time, host string) *apiServer {
	t.Helper()
	cert, ca := certificate(t, notAfter, host)
	s := &apiServer{ca: ca, version: "v1.37.2", tokenLife: tokenLife, objects: map[string]map[string]any{}}
	s.objects["/api/v1/namespaces/kube-system"] = map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "kube-system", "uid": uid}}
	s.Server = httptest.NewUnstartedServer(s)
	s.Server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Server.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// admin is the configuration of an administrator.
func (s *apiServer) admin() *rest.Config {
	return &rest.Config{Host: s.URL, BearerToken: "admin", TLSClientConfig: rest.TLSClientConfig{CAData: s.ca}}
}

// paths of the objects that are there, without kube-system.
func (s *apiServer) paths() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for path := range s.objects {
		if path != "/api/v1/namespaces/kube-system" {
			all = append(all, path)
		}
	}
	slices.Sort(all)
	return all
}

func (s *apiServer) object(path string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[path]
}

func (s *apiServer) put(path string, obj map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[path] = obj
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if status, message := s.fail(r.Method, r.URL.Path); status != 0 {
			refuse(w, status, message)
			return
		}
	}
	if r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "selfsubject") {
		s.log = append(s.log, r.Method+" "+r.URL.Path)
	}
	switch {
	case r.URL.Path == "/version":
		major, minor, _ := strings.Cut(strings.TrimPrefix(s.version, "v"), ".")
		minor, _, _ = strings.Cut(minor, ".")
		answer(w, 200, map[string]any{"major": major, "minor": minor, "gitVersion": s.version})
	case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		review := decode(body)
		answer(w, 201, s.review(review))
	case strings.HasSuffix(r.URL.Path, "/token"):
		s.token(w, r, decode(body))
	case r.Method == http.MethodPost:
		s.create(w, r.URL.Path, decode(body))
	default:
		s.one(w, r, body)
	}
}

func (s *apiServer) review(review map[string]any) map[string]any {
	a := review["spec"].(map[string]any)["resourceAttributes"].(map[string]any)
	text := func(key string) string { v, _ := a[key].(string); return v }
	n := need{text("verb"), text("group"), text("resource"), text("subresource"), text("namespace")}
	allowed := !slices.Contains(s.denied, n.String())
	if n.verb == "*" {
		allowed = len(s.denied) == 0
	}
	review["status"] = map[string]any{"allowed": allowed}
	return review
}

func (s *apiServer) token(w http.ResponseWriter, r *http.Request, request map[string]any) {
	if s.objects[strings.TrimSuffix(r.URL.Path, "/token")] == nil {
		refuse(w, 404, "serviceaccounts not found")
		return
	}
	s.tokens++
	request["status"] = map[string]any{"token": fmt.Sprintf("token-%d", s.tokens),
		"expirationTimestamp": metav1.NewTime(time.Now().Add(s.tokenLife))}
	answer(w, 201, request)
}

func (s *apiServer) create(w http.ResponseWriter, collection string, obj map[string]any) {
	meta := obj["metadata"].(map[string]any)
	path := fmt.Sprintf("%s/%s", collection, meta["name"])
	if s.objects[path] != nil {
		refuse(w, 409, "AlreadyExists")
		return
	}
	s.uids++
	meta["uid"], meta["resourceVersion"] = fmt.Sprintf("uid-%d", s.uids), "1"
	s.objects[path] = obj
	answer(w, 201, obj)
}

func (s *apiServer) one(w http.ResponseWriter, r *http.Request, body []byte) {
	path := r.URL.Path
	obj := s.objects[path]
	if obj == nil && r.Method == http.MethodGet && strings.HasSuffix(path, "/clusters") {
		s.list(w, path)
		return
	}
	if obj == nil {
		refuse(w, 404, "not found")
		return
	}
	meta := obj["metadata"].(map[string]any)
	switch r.Method {
	case http.MethodDelete:
		if wanted := decodeOptions(body); wanted != "" && wanted != meta["uid"] {
			refuse(w, 409, "precondition")
			return
		}
		if finalizers, _ := meta["finalizers"].([]any); len(finalizers) > 0 {
			meta["deletionTimestamp"] = metav1.Now()
		} else {
			delete(s.objects, path)
		}
	case http.MethodPut, http.MethodPatch:
		changed := decode(body)
		if r.Method == http.MethodPatch {
			changed = patched(obj, body)
		}
		s.objects[path] = changed
		obj = changed
		meta = obj["metadata"].(map[string]any)
		if finalizers, _ := meta["finalizers"].([]any); meta["deletionTimestamp"] != nil && len(finalizers) == 0 {
			delete(s.objects, path)
		}
	}
	answer(w, 200, obj)
}

func (s *apiServer) list(w http.ResponseWriter, path string) {
	items := []any{}
	for p, obj := range s.objects {
		if strings.HasPrefix(p, path+"/") {
			items = append(items, obj)
		}
	}
	answer(w, 200, map[string]any{"apiVersion": "hanse.io/v1alpha1", "kind": "ClusterList",
		"metadata": map[string]any{"resourceVersion": "1"}, "items": items})
}

// decode reads JSON, or the protobuf that clients send of native kinds.
func decode(body []byte) map[string]any {
	var obj map[string]any
	if json.Unmarshal(body, &obj) == nil {
		return obj
	}
	typed, gvk, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		panic(err)
	}
	raw, err := json.Marshal(typed)
	if err != nil {
		panic(err)
	}
	_ = json.Unmarshal(raw, &obj)
	obj["apiVersion"], obj["kind"] = gvk.GroupVersion().String(), gvk.Kind
	return obj
}

// decodeOptions is the UID precondition of a deletion.
func decodeOptions(body []byte) string {
	var options metav1.DeleteOptions
	if json.Unmarshal(body, &options) != nil {
		_ = options.Unmarshal(body)
	}
	if options.Preconditions == nil || options.Preconditions.UID == nil {
		return ""
	}
	return string(*options.Preconditions.UID)
}

func patched(obj map[string]any, patch []byte) map[string]any {
	raw, _ := json.Marshal(obj)
	merged, err := jsonpatch.MergePatch(raw, patch)
	if err != nil {
		panic(err)
	}
	var changed map[string]any
	_ = json.Unmarshal(merged, &changed)
	return changed
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, message string) {
	reasons := map[int]metav1.StatusReason{401: metav1.StatusReasonUnauthorized, 403: metav1.StatusReasonForbidden,
		404: metav1.StatusReasonNotFound, 409: metav1.StatusReasonConflict, 500: metav1.StatusReasonInternalError}
	reason := reasons[status]
	if message == "AlreadyExists" {
		reason = metav1.StatusReasonAlreadyExists
	}
	answer(w, status, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status: metav1.StatusFailure, Reason: reason, Message: message, Code: int32(status)})
}
