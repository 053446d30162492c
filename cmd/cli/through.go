package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member/enroll"
)

// This file is how commands look into members: through the hub, as the caller, with the rights that the caller has there.

// inMember is the configuration of a client for one member, without a time limit: streams go through it, too.
func (h *hubAPI) inMember(name string) *rest.Config {
	config := rest.CopyConfig(h.config)
	config.Host = strings.TrimSuffix(config.Host, "/") + "/clusters/" + name
	config.Timeout = 0
	return config
}

// silence is a member that did not give what it was asked for.
type silence struct {
	cluster string
	err     error
}

// say tells which members did not answer, and why, a line each.
func say(w io.Writer, silent []silence) {
	for _, s := range silent {
		_, _ = fmt.Fprintf(w, "%s: %s\n", s.cluster, reasonOf(s.err))
	}
}

// reasonOf is an error without client-go's wrapping.
func reasonOf(err error) string {
	var told apierrors.APIStatus
	if errors.As(err, &told) && told.Status().Message != "" {
		return oneLine(told.Status().Message)
	}
	return oneLine(err.Error())
}

// atOnce is how many members are asked at the same time.
const atOnce = 32

// askEach asks all members side by side and returns those that failed, in the order of the names.
func askEach(names []string, ask func(i int, name string) error) []silence {
	failures := make([]error, len(names))
	var group sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, name := range names {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			failures[i] = ask(i, name)
		})
	}
	group.Wait()
	var silent []silence
	for i, err := range failures {
		if err != nil {
			silent = append(silent, silence{names[i], err})
		}
	}
	return silent
}

// outcomeOf is the end of a command that asked members: an error if nobody answered, or somebody did not.
func outcomeOf(w io.Writer, asked int, silent []silence) error {
	say(w, silent)
	switch {
	case len(silent) == 0:
		return nil
	case len(silent) == asked:
		return failure("hanse clusters shows how the members are.", "no cluster answered")
	}
	return notAsAsked{fmt.Sprintf("%d of %d clusters did not answer", len(silent), asked)}
}

// clusterNames are the members that a command is about: those named, or all.
func (h *hubAPI) clusterNames(ctx context.Context, named []string) ([]string, error) {
	var list v1alpha1.ClusterList
	if err := h.List(ctx, &list); err != nil {
		if len(named) > 0 && apierrors.IsForbidden(err) { // whoever may use one need not see all
			return named, nil
		}
		return nil, enroll.Diagnose(h.what, err)
	}
	var all []string
	for i := range list.Items {
		all = append(all, list.Items[i].Name)
	}
	slices.Sort(all)
	if len(all) == 0 {
		return nil, failure("hanse join makes a cluster a member.", "no cluster has joined %s", h.what)
	}
	for _, name := range named {
		if !slices.Contains(all, name) {
			return nil, failure("hanse clusters lists them.", "there is no cluster %s", name)
		}
	}
	if len(named) > 0 {
		return named, nil
	}
	return all, nil
}

// where are the members that have an object: those of its decision, or all when there is none (a pod has none).
func (h *hubAPI) where(ctx context.Context, o object, named []string) ([]string, error) {
	if len(named) > 0 {
		return h.clusterNames(ctx, named)
	}
	d, err := h.distribution(ctx, o)
	if err != nil {
		return h.clusterNames(ctx, nil)
	}
	var names []string
	for _, c := range outcomes(d) {
		names = append(names, c.Name)
	}
	if len(names) == 0 {
		return nil, failure("hanse explain "+o.String()+" says why.", "%s is in no cluster", o)
	}
	slices.Sort(names)
	return names, nil
}

// podsOf are the pods of an object in each member, and the members that did not say.
func (h *hubAPI) podsOf(ctx context.Context, names []string, o object) ([][]corev1.Pod, []silence) {
	pods := make([][]corev1.Pod, len(names))
	silent := askEach(names, func(i int, name string) (err error) {
		pods[i], err = h.pods(ctx, name, o)
		return err
	})
	if o.mapping.GroupVersionKind.GroupKind() == podKind && len(silent) < len(names) {
		// One pod was named, and somebody has it: that others have none is no news.
		silent = slices.DeleteFunc(silent, func(s silence) bool { return apierrors.IsNotFound(s.err) })
	}
	return pods, silent
}

// pods are the pods of an object in one member: itself, or those that its selector selects, by name.
func (h *hubAPI) pods(ctx context.Context, cluster string, o object) ([]corev1.Pod, error) {
	config := h.inMember(cluster)
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of %s: %w", cluster, err)
	}
	if o.mapping.GroupVersionKind.GroupKind() == podKind {
		pod, err := kube.CoreV1().Pods(o.namespace).Get(ctx, o.name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return []corev1.Pod{*pod}, nil
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of %s: %w", cluster, err)
	}
	workload, err := o.resource(dyn).Get(ctx, o.name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	selector, err := selectorOf(workload.Object)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	list, err := kube.CoreV1().Pods(o.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return list.Items, nil
}

var podKind = corev1.SchemeGroupVersion.WithKind("Pod").GroupKind()

// selectorOf finds the pods' selector, wherever a kind has it: a LabelSelector or plain labels in the spec, or the text
// that a scale subresource gives in the status.
func selectorOf(obj map[string]any) (labels.Selector, error) {
	spec, _ := obj["spec"].(map[string]any)
	status, _ := obj["status"].(map[string]any)
	switch selector := spec["selector"].(type) {
	case map[string]any:
		if selector["matchLabels"] == nil && selector["matchExpressions"] == nil {
			plain := labels.Set{}
			for key, value := range selector {
				plain[key] = fmt.Sprint(value)
			}
			return labels.SelectorFromSet(plain), nil
		}
		var read metav1.LabelSelector
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(selector, &read); err != nil {
			return nil, fmt.Errorf("reading spec.selector: %w", err)
		}
		return metav1.LabelSelectorAsSelector(&read)
	}
	if text, ok := status["selector"].(string); ok && text != "" {
		return labels.Parse(text)
	}
	return nil, errors.New("it selects no pods; name one of its pods as pod/NAME")
}

// containerOf is the container that a command means: the one named, or the one that kubectl takes.
func containerOf(pod *corev1.Pod, named string) (string, error) {
	var names []string
	for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		names = append(names, c.Name)
	}
	if named == "" {
		named = pod.Annotations["kubectl.kubernetes.io/default-container"]
	}
	switch {
	case named == "" && len(names) > 0:
		return names[0], nil
	case slices.Contains(names, named):
		return named, nil
	}
	return "", fmt.Errorf("pod %s has no container %q, only %s", pod.Name, named, strings.Join(names, ", "))
}
