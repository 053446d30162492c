package events

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template"
)

// component is who the Events are from.
const component = "hanse"

// maxMessage is what the API takes as the message of an Event.
const maxMessage = 1024

// Publisher writes the Events.
type Publisher struct {
	// Cache has the Distributions.
	Cache cache.Cache
	// Templates tell whether a template is being deleted.
	Templates *template.Store
	// Events of the hub.
	Events typedcorev1.EventsGetter
}

// Watch begins to follow the Distributions, and returns; the Events end with the context.
func (p *Publisher) Watch(ctx context.Context) error {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: p.Events.Events("")})
	recorder := broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: component})
	informer, err := p.Cache.GetInformer(ctx, &v1alpha1.Distribution{})
	if err != nil {
		return fmt.Errorf("watching distributions: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(now any, isInInitialList bool) {
			if !isInInitialList {
				p.tell(recorder, nil, now)
			}
		},
		UpdateFunc: func(old, now any) { p.tell(recorder, old, now) },
	})
	if err != nil {
		return fmt.Errorf("watching distributions: %w", err)
	}
	return nil
}

// tell hands on the news of one change.
func (p *Publisher) tell(recorder record.EventRecorder, old, now any) {
	before, _ := old.(*v1alpha1.Distribution)
	after, ok := now.(*v1alpha1.Distribution)
	if !ok || before != nil && before.ResourceVersion == after.ResourceVersion {
		return
	}
	obj, exists := p.Templates.Get(template.RefOfDistribution(after))
	isGoing := !exists || obj.GetDeletionTimestamp() != nil
	about := referenceTo(after.Spec.Template)
	for _, n := range news(before, after, isGoing) {
		recorder.Event(about, n.kind, n.reason, cut(n.message))
	}
}

func referenceTo(t v1alpha1.TemplateReference) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: t.APIVersion, Kind: t.Kind, Namespace: t.Namespace, Name: t.Name, UID: t.UID,
	}
}

func cut(message string) string {
	message = printable.Text(message)
	if len(message) <= maxMessage {
		return message
	}
	const end = " …"
	return strings.ToValidUTF8(message[:maxMessage-len(end)], "") + end
}
