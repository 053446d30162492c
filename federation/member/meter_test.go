package member

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"

	"github.com/hanse-federation/hanse/federation/member/membertest"
)

func meteredOf(from io.Reader, m meter, isProto bool) *metered {
	b := Bounds{}.withDefaults()
	return &metered{from: from, meter: m, isProto: isProto, limiter: rate.NewLimiter(rate.Inf, pace), ctx: context.Background(),
		lease: &lease{budget: newBudget(b), fault: func(*TooMuchError) {}}}
}

func honestPod(n int) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("web-%d", n), Namespace: "shop", UID: "8d0c7f2e-0a5e-4b8e-9f0e-3d1f5a6b7c8d",
		Labels: map[string]string{"app": "web", "pod-template-hash": "5d8f"}}}
	p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: metav1.NewFieldsV1(
		`{"f:metadata":{"f:labels":{"f:app":{},"f:pod-template-hash":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{}}}}}`)}}
	for i := range 3 {
		c := corev1.Container{Name: fmt.Sprint("c", i), Image: "registry.example.org/web:1.2.3", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")}}}
		for j := range 20 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprint("NAME_", j), Value: "some value of it"})
		}
		p.Spec.Containers = append(p.Spec.Containers, c)
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Ready: true, Image: c.Image})
	}
	return p
}

func protoOf(t *testing.T, obj runtime.Object) []byte {
	t.Helper()
	scheme := runtime.NewScheme()
	_ = corev1.AddToScheme(scheme)
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "PodList"})
	var out bytes.Buffer
	if err := protobuf.NewSerializer(scheme, scheme).Encode(obj, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Honest answers pass unchanged, and bombs of any make do not.
func TestMeter(t *testing.T) {
	var pods corev1.PodList
	for n := range 250 {
		pods.Items = append(pods.Items, *honestPod(n))
	}
	asJSON, _ := json.Marshal(pods)
	asProto := protoOf(t, &pods)
	frame := func(message []byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
	}
	one := protoOf(t, &corev1.PodList{Items: pods.Items[:1]})
	events := bytes.Repeat(append([]byte(`{"type":"ADDED","object":`), append(asJSON[:len(asJSON):len(asJSON)], "}\n"...)...), 3)
	b := Bounds{}.withDefaults()
	list := meter{most: b.Page, mostCost: b.most(), perBrace: costOfObject}
	watch := meter{isStream: true, most: b.Event, mostCost: b.most() / 2, perBrace: costOfObject}
	for _, c := range []struct {
		what    string
		sent    []byte
		meter   meter
		isProto bool
		isBad   bool
	}{
		{"pods in JSON", asJSON, list, false, false},
		{"pods in protobuf", asProto, list, true, false},
		{"events in JSON", bytes.Repeat(append([]byte(`{"a":"}]{["}`), '\n'), 1_000_000), watch, false, false},
		{"large events in JSON", events, watch, false, false},
		{"events in protobuf", bytes.Repeat(frame(one), 2000), watch, true, false},
		{"a quote that is escaped", []byte(`{"a":"\"{{{{{\\"}`), list, false, false},
		{"a text of braces", []byte(`{"a":"` + strings.Repeat("{", 1<<20) + `"}`), list, false, false},
		{"too long", []byte(`{"a":"` + strings.Repeat("a", 16<<20) + `"}`), list, false, true},
		{"empty objects", []byte(`[` + strings.Repeat("{},", 200_000) + `{}]`), list, false, true},
		{"empty arrays", []byte(`[` + strings.Repeat("[],", 2_000_000)), list, false, true},
		{"numbers", []byte(`[` + strings.Repeat("1,", 2_000_000)), list, false, true},
		{"nested", []byte(strings.Repeat(`{"a":`, 500_000)), list, false, true},
		{"an event too long", []byte(`{"a":"` + strings.Repeat("a", 9<<20)), watch, false, true},
		{"an event of empty objects", []byte(`{"a":[` + strings.Repeat("{},", 200_000)), watch, false, true},
		{"spaces", bytes.Repeat([]byte(" "), 9<<20), watch, false, true},
		{"empty messages", append([]byte("k8s\x00"), bytes.Repeat([]byte{0x12, 0}, 100_000)...), list, true, true},
		{"messages with something in them", append([]byte("k8s\x00"), bytes.Repeat([]byte{0x12, 2, 0x0a, 0}, 100_000)...), list, true, true},
		{"a long frame", append([]byte{0xff, 0xff, 0xff, 0xff}, make([]byte, 1<<20)...), watch, true, true},
	} {
		got, err := io.ReadAll(meteredOf(bytes.NewReader(c.sent), c.meter, c.isProto))
		if isBad := errors.Is(err, ErrTooLarge); isBad != c.isBad || err != nil && !isBad {
			t.Errorf("%s: %v, want refused %t", c.what, err, c.isBad)
		}
		if !c.isBad && !bytes.Equal(got, c.sent) {
			t.Errorf("%s: %d bytes come through of %d", c.what, len(got), len(c.sent))
		}
	}
}

// A frame that breaks off is no end of the watch.
func TestMeterTellsABrokenFrame(t *testing.T) {
	m := meter{isStream: true, most: 1 << 20, mostCost: 1 << 20}
	if _, err := io.ReadAll(meteredOf(bytes.NewReader([]byte{0, 0, 0, 9, 1, 2}), m, true)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

func TestCompressionRatio(t *testing.T) {
	pack := func(text []byte) *http.Response {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(text)
		_ = z.Close()
		return &http.Response{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: io.NopCloser(&packed)}
	}
	for _, c := range []struct {
		what  string
		text  []byte
		isBad bool
	}{
		{"zeros", make([]byte, 8<<20), true},
		{"few zeros", make([]byte, 1<<20), false},
		{"names", func() (text []byte) {
			for n := range 300_000 {
				text = fmt.Appendf(text, `{"name":"web-%d"},`, n)
			}
			return text
		}(), false},
	} {
		resp := pack(c.text)
		unpack(resp, 256)
		got, err := io.ReadAll(resp.Body)
		if errors.Is(err, ErrTooLarge) != c.isBad || !c.isBad && !bytes.Equal(got, c.text) || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d bytes, %v", c.what, len(got), err)
		}
	}
}

// Of large answers there is one at a time for each member; small ones, and other members, wait for none.
func TestLargeAnswersTakeTurns(t *testing.T) {
	bounds := Bounds{}.withDefaults()
	mine, others := newBudget(bounds), newBudget(bounds)
	first := &lease{budget: mine}
	if err := first.grow(t.Context(), 40<<20); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	second := &lease{budget: mine}
	if err := second.grow(soon, 1<<19); err != nil {
		t.Errorf("a small answer waits: %v", err)
	}
	if err := second.grow(soon, 2<<20); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second large answer does not wait: %v", err)
	}
	if err := (&lease{budget: others}).grow(t.Context(), 40<<20); err != nil {
		t.Errorf("another member waits: %v", err)
	}
	first.release()
	first.release()
	if err := second.grow(t.Context(), 2<<20); err != nil {
		t.Error(err)
	}
}

func TestHolding(t *testing.T) {
	h := newHolding(Bounds{Objects: 10, Bytes: 100})
	for _, c := range []struct {
		kind  string
		is    tally
		isBad bool
		says  string
	}{
		{"a", tally{5, 60}, false, ""},
		{"b", tally{5, 50}, true, "most of it a"},
		{"b", tally{6, 10}, true, "10 objects"},
		{"b", tally{5, 40}, false, ""},
		{"a", tally{5, 61}, true, ""},
		{"a", tally{}, false, ""},
		{"b", tally{10, 100}, false, ""},
	} {
		err := h.set(c.kind, c.is)
		if (err != nil) != c.isBad || err != nil && !strings.Contains(err.What, c.says) {
			t.Errorf("%s %v: %v", c.kind, c.is, err)
		}
	}
}

// A list that is longer than one answer may be is read in pages, however large its objects are.
func TestLongListsAreReadInPages(t *testing.T) {
	const objects, size = 120, 100 << 10
	honest := membertest.Empty()
	largest := 0
	at := membertest.Serving(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/configmaps") || r.URL.Query().Get("watch") != "" {
			if r.URL.Query().Get("sendInitialEvents") != "" && strings.HasSuffix(r.URL.Path, "/configmaps") {
				w.WriteHeader(http.StatusUnprocessableEntity)
				return
			}
			honest.ServeHTTP(w, r)
			return
		}
		first, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		if r.URL.Query().Get("resourceVersion") == "0" || limit == 0 { // from the cache: there are no pages
			first, limit = 0, objects
		}
		last := min(first+limit, objects)
		next := ""
		if last < objects {
			next = strconv.Itoa(last)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":%q},"items":[`, next)
		for n := first; n < last; n++ {
			if n > first {
				_, _ = io.WriteString(w, ",")
			}
			fmt.Fprintf(w, `{"metadata":{"name":"c%d","namespace":"a","uid":"%d"},"data":{"a":%q}}`, n, n, strings.Repeat("a", size))
		}
		if _, err := io.WriteString(w, "]}"); err == nil && r.Context().Err() == nil && next != "" {
			largest = max(largest, limit)
		}
	})
	m := Connect(t.Context(), specOf("east", at), Options{Bounds: Bounds{Page: 2 * mebi, Bytes: 64 * mebi}})
	o := m.Objects(configmaps)
	within(t, 60*time.Second, "all is read", o.HasSynced)
	if got := len(o.List()); got != objects {
		t.Errorf("%d objects, want %d", got, objects)
	}
	if said := m.State().TooMuch; said != "" || largest == 0 || largest > 16 {
		t.Errorf("it says %q; the largest page of several is %d", said, largest)
	}
}

func FuzzMeter(f *testing.F) {
	f.Add([]byte(`{"a":[{},"\"}"]}`), false, false)
	f.Add([]byte("k8s\x00\x0a\x02\x12\x00"), true, false)
	f.Add([]byte{0, 0, 0, 2, 0x12, 0}, true, true)
	f.Fuzz(func(t *testing.T, sent []byte, isProto, isStream bool) {
		m := meter{isStream: isStream, most: 1 << 10, mostCost: 1 << 14, perBrace: costOfObject}
		got, err := io.ReadAll(meteredOf(bytes.NewReader(sent), m, isProto))
		if !bytes.HasPrefix(sent, got) {
			t.Fatalf("%q becomes %q", sent, got)
		}
		if err == nil && !isStream && (len(got) != len(sent) || len(sent) > 1<<10) {
			t.Fatalf("%d bytes of %d", len(got), len(sent))
		}
	})
}
