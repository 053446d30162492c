package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member/enroll"
	"github.com/hanse-federation/hanse/placement"
)

func newExplain(hub *access) *cobra.Command {
	c := &cobra.Command{
		Use:   "explain KIND/NAME",
		Short: "Why these clusters, why this many, and what is wrong",
		Args:  oneArg("KIND/NAME"),
	}
	output := formatFlag(c, asJSON, asYAML)
	c.RunE = func(c *cobra.Command, args []string) error {
		h, err := hub.connect()
		if err != nil {
			return err
		}
		o, err := h.resolve(args[0])
		if err != nil {
			return err
		}
		d, err := h.distribution(c.Context(), o)
		if err != nil {
			return err
		}
		if *output != asTable {
			return printed{value: d}.print(c, *output)
		}
		return explain(c.OutOrStdout(), d, h.reasons(c.Context(), d))
	}
	return c
}

// reasons asks the hub to decide about a template again, for what a Distribution does not keep: what held the shares,
// and every reason of who was passed over. nil when the caller may not ask.
func (h *hubAPI) reasons(ctx context.Context, d *v1alpha1.Distribution) *v1alpha1.PlannedObject {
	t := d.Spec.Template
	answer, err := h.plan(ctx, &v1alpha1.Plan{Spec: v1alpha1.PlanSpec{
		DecisionOnly: true,
		Templates: []v1alpha1.PlannedTemplate{
			{APIVersion: t.APIVersion, Kind: t.Kind, Namespace: t.Namespace, Name: t.Name},
		},
	}})
	if err != nil || len(answer.Status.Objects) == 0 || answer.Status.Objects[0].Error != "" {
		return nil
	}
	return &answer.Status.Objects[0]
}

// notPlaced says why an object has no Distribution.
func (h *hubAPI) notPlaced(ctx context.Context, o object) error {
	client, err := dynamic.NewForConfig(h.config)
	if err != nil {
		return fmt.Errorf("making a client for %s: %w", h.what, err)
	}
	template, err := o.resource(client).Get(ctx, o.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return noSuchObject(h, o)
	}
	if err != nil {
		return enroll.Diagnose(h.what, err)
	}
	if line := template.GetAnnotations()[v1alpha1.ClustersAnnotation]; line != "" {
		return failure("Look again in a moment. If it stays so, see the log of the hub.",
			"%s is to go to %q, but the hub has not decided yet", o, line)
	}
	next := "Say where it goes: hanse place %s --to CLUSTER=WEIGHT,... or write a Placement that selects it."
	return failure(fmt.Sprintf(next, o),
		"no placement selects %s, so it stays on the hub", o)
}

// explain tells the story of a decision: who decided, who was chosen and why, who was not, what is left over, what
// changed last, what is wrong. again is the decision taken anew, with all its reasons; it may be nil.
func explain(w io.Writer, d *v1alpha1.Distribution, again *v1alpha1.PlannedObject) error {
	story := &teller{w: w}
	story.heading(d)
	story.chosen(d, again)
	story.rejected(d, again)
	story.leftOver(d)
	story.changed(d, again)
	story.wrong(d)
	return story.err
}

// teller writes until something fails.
type teller struct {
	w   io.Writer
	err error
}

func (t *teller) say(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

func (t *teller) table(rows [][]string) {
	if t.err == nil {
		t.err = writeTable(t.w, len(rows[0]), rows)
	}
}

func (t *teller) heading(d *v1alpha1.Distribution) {
	name := templateName(d)
	if ns := d.Spec.Template.Namespace; ns != "" {
		name += " in " + ns
	}
	if d.Spec.Replicas != nil {
		name += fmt.Sprintf(": %d replicas", *d.Spec.Replicas)
	}
	if d.Spec.Placement.Kind == "Dependency" {
		t.say("%s, %s", name, claimOf(d))
	} else {
		t.say("%s, placed by %s", name, claimOf(d))
	}
	if d.Spec.Paused {
		t.say("The placement is paused: nothing is changed in the clusters.")
	}
	if d.Spec.ReportOnly {
		t.say("The placement only reports: nothing is changed in the clusters; hanse status says what would be.")
	}
	for _, note := range d.Spec.Notes {
		t.say("Note: %s", note)
	}
}

func (t *teller) chosen(d *v1alpha1.Distribution, again *v1alpha1.PlannedObject) {
	if len(d.Spec.Clusters) == 0 {
		t.say("\nNo cluster was chosen.")
		return
	}
	rows := [][]string{{"CLUSTER", "REPLICAS", "EXACT SHARE", "HELD BY", "WHY"}}
	hasClamps := false
	for _, c := range d.Spec.Clusters {
		replicas := ""
		if c.Replicas != nil {
			replicas = fmt.Sprint(*c.Replicas)
		}
		clamps := clampsOf(again, c.Name)
		hasClamps = hasClamps || clamps != ""
		rows = append(rows, []string{c.Name, replicas, c.Ideal, clamps, why(c.Reason, c.Message)})
	}
	if !hasClamps {
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 3, 4)
		}
	}
	t.say("")
	t.table(rows)
}

// clampsOf is what holds a member's replicas away from its exact share.
func clampsOf(again *v1alpha1.PlannedObject, name string) string {
	if again == nil {
		return ""
	}
	for _, c := range again.Clusters {
		if c.Name == name {
			return strings.Join(c.Clamps, ",")
		}
	}
	return ""
}

func (t *teller) rejected(d *v1alpha1.Distribution, again *v1alpha1.PlannedObject) {
	rows := [][]string{{"NOT CHOSEN", "WHY"}}
	var unselected []string
	if again == nil {
		for _, c := range d.Spec.Rejected {
			rows = append(rows, []string{c.Name, why(c.Reason, c.Message)})
		}
		again = &v1alpha1.PlannedObject{}
	}
	for _, c := range again.Rejected {
		if c.Reasons[0].Reason == string(placement.CodeNotSelected) {
			unselected = append(unselected, c.Name)
			continue
		}
		name := c.Name
		for _, r := range c.Reasons {
			rows = append(rows, []string{name, why(r.Reason, r.Message)})
			name = "  also"
		}
	}
	if len(rows) > 1 {
		t.say("")
		t.table(rows)
	}
	if n := len(unselected); n > 0 {
		t.say("\nNot selected by the placement: %s", shortList(unselected))
	}
}

// shortList names a few and counts the rest.
func shortList(names []string) string {
	const shown = 8
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

// changed tells what the last decision that changed something changed, and what the next one would.
func (t *teller) changed(d *v1alpha1.Distribution, again *v1alpha1.PlannedObject) {
	if last := d.Spec.LastChange; last != nil {
		t.say("\nChanged at %s:", last.Time.UTC().Format("2006-01-02 15:04:05 MST"))
		t.moves(last.Moves, d.Spec.Replicas != nil)
	}
	if again != nil && len(again.Moves) > 0 {
		t.say("\nAbout to change:")
		t.moves(again.Moves, again.Replicas != nil)
	}
}

func (t *teller) moves(moves []v1alpha1.PlannedMove, counts bool) {
	for _, m := range moves {
		t.say("  %s %s -> %s: %s", m.Name, amount(m.From, counts), amount(m.To, counts), why(m.Reason, m.Message))
	}
}

// amount is a number of replicas, or whether there is a copy.
func amount(n *int64, counts bool) string {
	switch {
	case n == nil:
		return "none"
	case !counts:
		return "a copy"
	}
	return fmt.Sprint(*n)
}

func (t *teller) leftOver(d *v1alpha1.Distribution) {
	if d.Spec.Unplaced > 0 {
		t.say("\n%d of the replicas in no cluster: %s", d.Spec.Unplaced, d.Spec.UnplacedReason)
	}
	for _, name := range d.Spec.FollowedBy {
		t.say("%s follows it.", name)
	}
}

// wrong lists what is not as decided, each with what to do about it.
func (t *teller) wrong(d *v1alpha1.Distribution) {
	rows := [][]string{{"CLUSTER", "READY", "WHAT IS WRONG", "WHAT TO DO"}}
	for _, c := range outcomes(d) {
		if what, next := trouble(c); what != "" {
			rows = append(rows, []string{c.Name, readyOf(c), what, next})
		}
	}
	t.say("")
	if len(rows) > 1 {
		t.table(rows)
		return
	}
	if isReady(d) {
		t.say("All is as decided.")
		return
	}
	for _, c := range d.Status.Conditions {
		if c.Status != metav1.ConditionTrue {
			t.say("%s is %s: %s", c.Type, c.Status, why(c.Reason, c.Message))
		}
	}
}

// trouble is what is wrong in one member, and what to do; nothing if all is well there.
func trouble(c v1alpha1.ClusterOutcome) (what, next string) {
	switch {
	case c.Unknown:
		return "it cannot be reached; the figures are the last known", "hanse clusters -o wide says why"
	case c.Verdict == "Conflict":
		return why(c.Reason, c.Message), "remove the object there, or place it with onConflict: Adopt or Overwrite"
	case c.Verdict == "Failed" && c.Reason == "Forbidden":
		return why(c.Reason, c.Message), "hanse join " + c.Name + " --renew with --api-group or --cluster-admin"
	case c.Verdict == "Failed":
		return why(c.Reason, c.Message), "correct the object; the hub tries again by itself"
	case c.Verdict == "Pending":
		return why("not written yet", c.Message), "wait"
	case c.Health == "Degraded":
		return why("Degraded", c.HealthMessage), "see its pods and events in the cluster"
	case c.Health == "Progressing":
		return why("not ready yet", c.HealthMessage), "wait"
	}
	return "", ""
}

func why(reason, message string) string {
	reason, message = oneLine(reason), oneLine(message)
	switch {
	case reason == "" || reason == message:
		return message
	case message == "":
		return reason
	}
	return reason + ": " + message
}
