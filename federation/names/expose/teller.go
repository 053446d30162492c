package expose

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"github.com/hanse-federation/hanse/api/printable"
)

// tellAgain is how long an Event about something that is not served is taken for read: Events end after an hour.
const tellAgain = 30 * time.Minute

// teller writes Events about what is not served: once when that changes, and now and then while it stays so.
type teller struct {
	recorder record.EventRecorder
	told     map[types.UID]told
}

type told struct {
	why string
	at  time.Time
}

// start makes ready to write Events until the context ends. Without a place for them nothing is said.
func (t *teller) start(ctx context.Context, events typedcorev1.EventsGetter) {
	if events == nil {
		return
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: events.Events("")})
	t.recorder = broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: "hanse-dns"})
}

func (t *teller) tell(all []unserved, now time.Time) {
	current := make(map[types.UID]told, len(all))
	for _, one := range all {
		uid := one.object.GetUID()
		before := t.told[uid]
		if before.why != one.why || now.Sub(before.at) >= tellAgain {
			if t.recorder != nil {
				t.recorder.Event(referenceTo(one.object), corev1.EventTypeWarning, "NotServed", cut("DNS: "+one.why))
			}
			before = told{why: one.why, at: now}
		}
		current[uid] = before
	}
	t.told = current
}

func referenceTo(obj *unstructured.Unstructured) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: obj.GetAPIVersion(), Kind: obj.GetKind(), Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: obj.GetUID(),
	}
}

// maxMessage is the most octets that the API takes of an Event's message.
const maxMessage = 1024

func cut(message string) string {
	message = printable.Text(message)
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage-len("...")], "") + "..."
	}
	return message
}
