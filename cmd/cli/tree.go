package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// insight is what a look into one member showed.
type insight struct {
	pods []corev1.Pod
	err  error
}

// lookPatience is how long a status waits for the members' pods.
const lookPatience = 10 * time.Second

// insights looks for the pods of an object in every member that should have some; nil for kinds that run none.
func (h *hubAPI) insights(ctx context.Context, o object, d *v1alpha1.Distribution) map[string]insight {
	var names []string
	for _, c := range outcomes(d) {
		if c.Desired != nil && !c.Unknown {
			names = append(names, c.Name)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	seen := make([]insight, len(names))
	askEach(names, func(i int, name string) error {
		seen[i].pods, seen[i].err = h.pods(ctx, name, o)
		return nil
	})
	all := map[string]insight{}
	for i, name := range names {
		if !apierrors.IsNotFound(seen[i].err) { // the member's verdict says why it has none
			all[name] = seen[i]
		}
	}
	return all
}

// branch is a line of the tree and what hangs on it.
type branch struct {
	text string
	on   []branch
}

// write draws the branches.
func write(w io.Writer, indent string, branches []branch) error {
	for i, b := range branches {
		joint, below := "├─ ", "│  "
		if i == len(branches)-1 {
			joint, below = "└─ ", "   "
		}
		if _, err := fmt.Fprintln(w, indent+joint+b.text); err != nil {
			return err
		}
		if err := write(w, indent+below, b.on); err != nil {
			return err
		}
	}
	return nil
}

// tree draws a template, the members that have it, and of their pods those that are not well, with what is wrong.
func tree(w io.Writer, d *v1alpha1.Distribution, seen map[string]insight, now time.Time) error {
	head := templateName(d)
	if ns := d.Spec.Template.Namespace; ns != "" {
		head += " in " + ns
	}
	if d.Status.Summary != "" {
		head += ": " + d.Status.Summary
	}
	if _, err := fmt.Fprintln(w, head); err != nil {
		return err
	}
	width := 0
	for _, c := range outcomes(d) {
		width = max(width, len(c.Name))
	}
	var members []branch
	for _, c := range outcomes(d) {
		b := branch{text: fmt.Sprintf("%-*s  %s", width, c.Name, strings.Join(memberWords(c, now), ", "))}
		if message := messageOf(c); message != "" {
			b.text += ": " + message
		}
		if look, ok := seen[c.Name]; ok {
			b.on = podBranches(look)
		}
		members = append(members, b)
	}
	if d.Spec.Unplaced > 0 {
		members = append(members, branch{text: fmt.Sprintf("%d replicas have no place: hanse explain %s says why",
			d.Spec.Unplaced, templateName(d))})
	}
	return write(w, "", members)
}

// memberWords are how it stands in one member.
func memberWords(c v1alpha1.ClusterOutcome, now time.Time) []string {
	var words []string
	if ready := readyOf(c); ready != "" {
		words = append(words, ready+" ready")
	}
	words = append(words, verdictOf(c))
	if c.Unknown {
		return append(words, "Unknown since "+ago(c.LastSeen, now)+" ago")
	}
	if c.Health != "" {
		words = append(words, c.Health)
	}
	return words
}

// shownPods is how many pods of a member that are not well are named.
const shownPods = 5

func podBranches(look insight) []branch {
	if look.err != nil {
		return []branch{{text: "its pods cannot be seen: " + reasonOf(look.err)}}
	}
	var sick []branch
	well := 0
	for i := range look.pods {
		trouble := podTrouble(&look.pods[i])
		if trouble == "" {
			well++
			continue
		}
		sick = append(sick, branch{text: "pod/" + look.pods[i].Name + "  " + trouble})
	}
	if more := len(sick) - shownPods; more > 0 {
		sick = append(sick[:shownPods], branch{text: fmt.Sprintf("and %d more pods that are not well", more)})
	}
	if well > 0 {
		sick = append(sick, branch{text: fmt.Sprintf("pods that are well: %d", well)})
	}
	return sick
}

// podTrouble says what is wrong with a pod; nothing if it is well or has done its work. The first that fits counts: what
// lies deepest, so that the cause is told and not its effect.
func podTrouble(pod *corev1.Pod) string {
	if pod.Status.Phase == corev1.PodSucceeded {
		return ""
	}
	if pod.DeletionTimestamp != nil {
		return "Terminating"
	}
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if w := c.State.Waiting; w != nil && w.Reason != "PodInitializing" && w.Reason != "ContainerCreating" {
			return why(w.Reason, fmt.Sprintf("container %s%s", c.Name, lastEnd(c)))
		}
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			return why(cmp.Or(t.Reason, "Error"), fmt.Sprintf("container %s ended with exit code %d", c.Name, t.ExitCode))
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		return why(cmp.Or(pod.Status.Reason, "Failed"), pod.Status.Message)
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		for _, c := range pod.Status.Conditions {
			if c.Type == kind && c.Status != corev1.ConditionTrue {
				return fmt.Sprintf("%s, %s", pod.Status.Phase, why(cmp.Or(c.Reason, "not "+string(kind)), c.Message))
			}
		}
	}
	if pod.Status.Phase != corev1.PodRunning {
		return string(pod.Status.Phase)
	}
	return ""
}

// lastEnd is how a container that waits to start again ended before.
func lastEnd(c corev1.ContainerStatus) string {
	if t := c.LastTerminationState.Terminated; t != nil {
		return fmt.Sprintf(" ended %d times, last with exit code %d (%s)", c.RestartCount, t.ExitCode, cmp.Or(t.Reason, "Error"))
	}
	if m := c.State.Waiting.Message; m != "" {
		return ": " + m
	}
	return ""
}
