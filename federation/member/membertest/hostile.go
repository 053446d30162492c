package membertest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Hostile is a member in bad hands: it answers as another handler does, until it is told to do otherwise.
type Hostile struct {
	*Faulty
	// Sent are the bytes of what it made up, before compression.
	Sent atomic.Int64

	does atomic.Pointer[Deed]
}

// Deed answers a request in bad faith; false leaves it to the honest handler.
type Deed func(h *Hostile, w http.ResponseWriter, r *http.Request) bool

// NewHostile puts somebody hostile before an honest handler. It is honest at first.
func NewHostile(t testing.TB, honest http.Handler) *Hostile {
	t.Helper()
	h := &Hostile{}
	h.Faulty = Serving(t, func(w http.ResponseWriter, r *http.Request) {
		if deed := h.does.Load(); deed != nil && (*deed)(h, w, r) {
			return
		}
		honest.ServeHTTP(w, r)
	})
	return h
}

// Do has it do something from now on, nil: be honest.
func (h *Hostile) Do(deed Deed) {
	if deed == nil {
		h.does.Store(nil)
		return
	}
	h.does.Store(&deed)
}

// All does the first of some deeds that has something to do.
func All(deeds ...Deed) Deed {
	return func(h *Hostile, w http.ResponseWriter, r *http.Request) bool {
		return slices.ContainsFunc(deeds, func(d Deed) bool { return d(h, w, r) })
	}
}

// write sends and counts; false when nobody listens any more.
func (h *Hostile) write(w io.Writer, text []byte) bool {
	n, err := w.Write(text)
	h.Sent.Add(int64(n))
	if f, ok := w.(http.Flusher); ok && err == nil && n < 4<<10 {
		f.Flush()
	}
	return err == nil
}

func isList(r *http.Request, resource string) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/"+resource) && !isWatch(r)
}

func isWatch(r *http.Request) bool {
	return r.URL.Query().Get("watch") != "" && r.URL.Query().Get("watch") != "0"
}

func isWatchOf(r *http.Request, resource string) bool {
	return isWatch(r) && strings.HasSuffix(r.URL.Path, "/"+resource)
}

// refuseStreams has clients list instead of having lists streamed, as old servers do.
func refuseStreams(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Query().Get("sendInitialEvents") == "" {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnprocessableEntity)
	_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422,`+
		`"message":"sendInitialEvents is forbidden for watch"}`)
	return true
}

// Bomb answers a list with so many bytes of JSON that become many times as much when they are decoded.
func Bomb(resource string, size int64, isPacked bool) Deed {
	return func(h *Hostile, w http.ResponseWriter, r *http.Request) bool {
		if isWatchOf(r, resource) {
			return refuseStreams(w, r)
		}
		if !isList(r, resource) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		var out io.Writer = w
		if isPacked {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer z.Close()
			out = z
		}
		h.write(out, []byte(`{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[`+
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"a"},"data":[`))
		chunk := bytes.Repeat([]byte(`{},`), 100_000)
		for sent := int64(0); sent < size; sent += int64(len(chunk)) {
			if !h.write(out, chunk) {
				return true
			}
		}
		h.write(out, []byte(`{}]}]}`))
		return true
	}
}

// ProtoBomb answers a list of pods with protobuf of which two bytes become a Pod.
func ProtoBomb(size int) Deed {
	items := bytes.Repeat([]byte{0x12, 0}, size/2)
	raw := protowire.AppendTag(nil, 2, protowire.BytesType) // runtime.Unknown.raw
	raw = protowire.AppendBytes(raw, items)
	about := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte("v1"))
	about = protowire.AppendBytes(protowire.AppendTag(about, 2, protowire.BytesType), []byte("PodList"))
	message := append([]byte("k8s\x00"), protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), about)...)
	message = append(message, raw...)
	return func(h *Hostile, w http.ResponseWriter, r *http.Request) bool {
		if isWatchOf(r, "pods") {
			return refuseStreams(w, r)
		}
		if !isList(r, "pods") {
			return false
		}
		w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
		h.write(w, message)
		return true
	}
}

// LongEvent sends one event of a watch that never ends: of JSON, or a frame of protobuf that says to be so long.
func LongEvent(resource string) Deed {
	return func(h *Hostile, w http.ResponseWriter, r *http.Request) bool {
		if !isWatchOf(r, resource) {
			return false
		}
		begin := []byte(`{"type":"ADDED","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"`)
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(r.Header.Get("Accept"), "protobuf") {
			w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf;stream=watch")
			begin = binary.BigEndian.AppendUint32(nil, 1<<31)
		}
		chunk := bytes.Repeat([]byte("a"), 256<<10)
		for ok := h.write(w, begin); ok && r.Context().Err() == nil; ok = h.write(w, chunk) {
		}
		return true
	}
}

// EndlessEvents streams objects that all carry the labels, one after the other, and never comes to the end of the list.
func EndlessEvents(resource, kind string, labels map[string]string) Deed {
	return func(h *Hostile, w http.ResponseWriter, r *http.Request) bool {
		if !isWatchOf(r, resource) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		for n := h.Sent.Load(); r.Context().Err() == nil; n++ {
			text := fmt.Sprintf(`{"type":"ADDED","object":%s}`+"\n", madeUp(kind, n, labels))
			if !h.write(w, []byte(text)) {
				break
			}
		}
		return true
	}
}

// EndlessPages answers a list with page after page.
func EndlessPages(resource, kind string, labels map[string]string) Deed {
	return func(h *Hostile, w http.ResponseWriter, r *http.Request) bool {
		if isWatchOf(r, resource) {
			return refuseStreams(w, r)
		}
		if !isList(r, resource) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		var page strings.Builder
		fmt.Fprintf(&page, `{"kind":"%sList","apiVersion":"v1","metadata":{"resourceVersion":"1","continue":"more"},"items":[`, kind)
		for i := range int64(200) {
			if i > 0 {
				page.WriteByte(',')
			}
			page.WriteString(madeUp(kind, h.Sent.Load()+i, labels))
		}
		page.WriteString("]}")
		h.write(w, []byte(page.String()))
		return true
	}
}

func madeUp(kind string, n int64, labels map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, fmt.Sprintf("%q:%q", key, labels[key]))
	}
	return fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"metadata":{"name":"x%d","namespace":"a","uid":"%d","resourceVersion":"1",`+
		`"labels":{%s}},"status":{"note":%q}}`, kind, n, n, strings.Join(all, ","), strings.Repeat("a", 2000))
}

// Trickle sends every answer to a path a space a time.
func Trickle(path string, every time.Duration) Deed {
	return func(h *Hostile, w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, path) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		tick := time.NewTicker(every)
		defer tick.Stop()
		for h.write(w, []byte(" ")) {
			select {
			case <-r.Context().Done():
				return true
			case <-tick.C:
			}
		}
		return true
	}
}

// Redirect leads requests elsewhere that somebody is impersonated in, or all.
func Redirect(code int, to string, isForAll bool) Deed {
	return func(_ *Hostile, w http.ResponseWriter, r *http.Request) bool {
		if !isForAll && r.Header.Get("Impersonate-User") == "" {
			return false
		}
		w.Header().Set("Location", to)
		w.WriteHeader(code)
		return true
	}
}

// Escape has version and health say what terminals obey.
func Escape() Deed {
	const evil = "\x1b[2J\x1b]0;PWNED\a \u202ered \u009b31m"
	return func(_ *Hostile, w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/version":
			fmt.Fprintf(w, `{"gitVersion":"v1.37.0\u001b]0;PWNED\u0007\u202e","major":"1","minor":"37"}`)
		case "/readyz", "/healthz":
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "[-]etcd failed: "+evil)
		default:
			return false
		}
		return true
	}
}

// RefuseWrites answers every write with a long message full of controls.
func RefuseWrites() Deed {
	return func(h *Hostile, w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		h.write(w, []byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,`+
			`"message":"\u001b[2J\u001b]0;PWNED\u0007 \u202e`+strings.Repeat("A", 900_000)+`"}`))
		return true
	}
}

// FlipUID gives out another identity of the cluster at every question.
func FlipUID() Deed {
	var n atomic.Int64
	return func(_ *Hostile, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/v1/namespaces/kube-system" {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"eeeeeeee-%d"}}`, n.Add(1))
		return true
	}
}

// Empty is an honest API server that serves configmaps, pods and nodes, and has none.
func Empty() http.Handler {
	answers := map[string]string{
		"/version": `{"gitVersion":"v1.37.0","major":"1","minor":"37"}`,
		"/api":     `{"kind":"APIVersions","apiVersion":"v1","versions":["v1"]}`,
		"/apis":    `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`,
		"/api/v1": `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":[` +
			`{"name":"configmaps","singularName":"configmap","namespaced":true,"kind":"ConfigMap","verbs":["list","watch","get"]}]}`,
		"/api/v1/namespaces/kube-system": `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"1"}}`,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			_, _ = io.WriteString(w, "ok")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		kind, isKnown := map[string]string{"configmaps": "ConfigMap", "pods": "Pod", "nodes": "Node"}[r.URL.Path[strings.LastIndex(
			r.URL.Path, "/")+1:]]
		switch text, ok := answers[r.URL.Path]; {
		case ok:
			_, _ = io.WriteString(w, text)
		case !isKnown:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		case !isWatch(r):
			fmt.Fprintf(w, `{"kind":"%sList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}`, kind)
		default:
			if r.URL.Query().Get("sendInitialEvents") != "" {
				fmt.Fprintf(w, `{"type":"BOOKMARK","object":{"kind":%q,"apiVersion":"v1","metadata":{"resourceVersion":"1",`+
					`"annotations":{"k8s.io/initial-events-end":"true"}}}}`+"\n", kind)
			}
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	})
}
