package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member/enroll"
	"github.com/hanse-federation/hanse/placement"
)

// planPatience is how long the answer may take: the hub asks every member that is concerned.
const planPatience = 65 * time.Second

func newPlan(hub *access) *cobra.Command {
	var file, to string
	c := &cobra.Command{
		Use:   "plan -f FILE [--to east=2,west=1]",
		Short: "What would happen if a file were applied: where it goes, why, and what changes in each member",
		Long: `What would happen if a file were applied: where it goes, why, and what changes in each member.

Nothing is written, on the hub or in a member. The hub decides as it would when the file is applied, and asks every
member that is concerned by a server-side dry-run. Placements in the file count, and what is on the hub already and
concerned by them is shown, too. Values of Secrets, and of objects that are not the hub's, are never shown.

The exit code is 0 when all would go well, and 3 when something would not: an object that is refused, a replica that is
placed nowhere, a conflict in a member, a member that cannot be asked.`,
		Example: `  hanse plan -f app.yaml
  hanse plan -f app.yaml --to east=2,west=1
  hanse plan -f placement.yaml -o yaml`,
		Args: cobra.NoArgs,
	}
	output := formatFlag(c, asJSON, asYAML)
	c.Flags().StringVarP(&file, "filename", "f", "", "manifests to plan (YAML or JSON; - is standard input)")
	c.Flags().StringVar(&to, "to", "", "clusters and weights, as with hanse place (default: what places the objects)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if file == "" {
			return usagef("-f FILE is missing: the manifests to plan")
		}
		if _, err := placement.ParseClusters(to); to != "" && err != nil {
			return usagef("--to: %w", err)
		}
		h, err := hub.connect()
		if err != nil {
			return err
		}
		question, err := planQuestion(c, h, file, to)
		if err != nil {
			return err
		}
		p := startProgress(c.ErrOrStderr())
		p.say("asking the hub and its members")
		answer, err := h.plan(c.Context(), question)
		p.stop()
		if err != nil {
			return err
		}
		if *output != asTable {
			err = printed{value: answer}.print(c, *output)
		} else {
			err = tellPlan(c.OutOrStdout(), answer)
		}
		if err != nil || isPlanGood(answer) {
			return err
		}
		return notAsAsked{}
	}
	return c
}

// planQuestion reads the manifests. Objects without a namespace get the one of the command.
func planQuestion(c *cobra.Command, h *hubAPI, file, to string) (*v1alpha1.Plan, error) {
	objects, err := readManifests(c.InOrStdin(), file)
	if err != nil {
		return nil, err
	}
	mapper, err := h.mapper()
	if err != nil {
		return nil, err
	}
	question := &v1alpha1.Plan{Spec: v1alpha1.PlanSpec{Clusters: to}}
	for _, obj := range objects {
		kind := obj.GroupVersionKind()
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		switch {
		case err == nil && mapping.Scope.Name() == meta.RESTScopeNameNamespace && obj.GetNamespace() == "":
			obj.SetNamespace(h.namespace)
		case err != nil && !meta.IsNoMatchError(err): // the hub says in the plan what it does not know
			return nil, enroll.Diagnose(h.what, err)
		}
		raw, err := json.Marshal(obj.Object)
		if err != nil {
			return nil, fmt.Errorf("encoding %s/%s: %w", obj.GetKind(), obj.GetName(), err)
		}
		question.Spec.Objects = append(question.Spec.Objects, runtime.RawExtension{Raw: raw})
	}
	return question, nil
}

// plan asks the hub.
func (h *hubAPI) plan(ctx context.Context, question *v1alpha1.Plan) (*v1alpha1.Plan, error) {
	config := rest.CopyConfig(h.config)
	config.Timeout = planPatience
	client, err := enroll.NewClient(config)
	if err != nil {
		return nil, err
	}
	answer := question.DeepCopy()
	err = client.Create(ctx, answer)
	var status apierrors.APIStatus
	switch {
	case apierrors.IsServiceUnavailable(err) && errors.As(err, &status):
		return nil, failure("Ask again, or another replica of the hub.", "%s", status.Status().Message)
	case apierrors.IsInvalid(err) && errors.As(err, &status):
		return nil, failure("Nothing was planned.", "%s", status.Status().Message)
	case err != nil:
		return nil, enroll.Diagnose(h.what, err)
	}
	answer.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Plan"))
	return answer, nil
}

// isPlanGood reports whether nothing would be refused, left over or unknown.
func isPlanGood(p *v1alpha1.Plan) bool {
	for _, o := range p.Status.Objects {
		if o.Error != "" || o.Unplaced > 0 {
			return false
		}
		if slices.ContainsFunc(o.Clusters, func(c v1alpha1.PlannedCluster) bool { return !isVerdictGood(c.Verdict) }) {
			return false
		}
	}
	return true
}

func isVerdictGood(v v1alpha1.Verdict) bool {
	return v != "Conflict" && v != "Failed" && v != "Pending"
}

// tellPlan prints a plan for people: a table an object, and below it what changes in each member.
func tellPlan(w io.Writer, p *v1alpha1.Plan) error {
	t := &teller{w: w}
	for i := range p.Status.Objects {
		if i > 0 {
			t.say("")
		}
		t.planned(&p.Status.Objects[i])
	}
	for _, note := range p.Status.Notes {
		t.say("\nNote: %s", note)
	}
	t.sum(p)
	return t.err
}

func (t *teller) planned(o *v1alpha1.PlannedObject) {
	t.say("%s", plannedHeading(o))
	switch {
	case o.Error != "":
		t.say("  Refused: %s", o.Error)
		return
	case o.Stays != "":
		t.say("  Stays on the hub: %s.", o.Stays)
	case len(o.Clusters) == 0:
		t.say("  No cluster is chosen.")
	}
	for _, note := range o.Notes {
		t.say("  Note: %s", note)
	}
	if len(o.Clusters) > 0 {
		rows := [][]string{{"  CLUSTER", "REPLICAS", "CHANGE", "WHY"}}
		for _, c := range o.Clusters {
			rows = append(rows, []string{"  " + c.Name, replicasOf(c, o.Moves), changeOf(c), why(c.Reason, c.Message)})
		}
		t.table(rows)
	}
	for _, r := range o.Rejected {
		if r.Reasons[0].Reason != string(placement.CodeNotSelected) {
			t.say("  not %s: %s", r.Name, whyAll(r.Reasons))
		}
	}
	if o.Unplaced > 0 {
		t.say("  %d placed nowhere: %s", o.Unplaced, o.UnplacedReason)
	}
	for _, c := range o.Clusters {
		t.fields(c)
	}
}

// plannedHeading is the object, how it would be placed, and what happens to it on the hub.
func plannedHeading(o *v1alpha1.PlannedObject) string {
	text := strings.ToLower(o.Kind) + "/" + o.Name
	if o.Namespace != "" {
		text += " in " + o.Namespace
	}
	if o.Replicas != nil {
		text += fmt.Sprintf(": %d replicas", *o.Replicas)
	}
	if o.Placement != nil {
		text += ", " + placedBy(*o.Placement)
	}
	switch {
	case o.Concerned:
		return text + " (concerned, not in the file)"
	case o.OnHub != "":
		return text + " (on the hub: " + strings.ToLower(string(o.OnHub)) + ")"
	}
	return text
}

func placedBy(p v1alpha1.PlacementReference) string {
	switch p.Kind {
	case "Annotation":
		return "placed by its annotation " + v1alpha1.ClustersAnnotation
	case "Dependency":
		return "follows " + p.Name
	case "Plan":
		return "placed by the plan"
	}
	return "placed by " + p.Kind + " " + p.Name
}

// replicasOf is "3", or "1 -> 3" where it changes.
func replicasOf(c v1alpha1.PlannedCluster, moves []v1alpha1.PlannedMove) string {
	if c.Replicas == nil {
		return ""
	}
	for _, m := range moves {
		if m.Name == c.Name && m.From != nil && *m.From != *c.Replicas {
			return fmt.Sprintf("%d -> %d", *m.From, *c.Replicas)
		}
	}
	return fmt.Sprint(*c.Replicas)
}

// changeOf is what would happen in the member, in a word.
func changeOf(c v1alpha1.PlannedCluster) string {
	switch c.Verdict {
	case "":
		return "not asked"
	case "Created":
		return "create"
	case "Configured":
		return fmt.Sprintf("change (%d)", len(c.Changes))
	case "Unchanged":
		return "none"
	case "Deleted":
		return "delete"
	}
	return string(c.Verdict)
}

// fields lists the changes in one member by path, and what a verdict that is not good says.
func (t *teller) fields(c v1alpha1.PlannedCluster) {
	if c.VerdictMessage != "" {
		t.say("  %s: %s", c.Name, why(c.VerdictReason, c.VerdictMessage))
	}
	if len(c.Changes) == 0 {
		return
	}
	t.say("  %s:", c.Name)
	for _, change := range c.Changes {
		t.say("    %s", fieldLine(change))
	}
}

func fieldLine(c v1alpha1.PlannedChange) string {
	switch {
	case c.Op == "add" && c.To != "":
		return fmt.Sprintf("+ %s: %s", c.Path, c.To)
	case c.Op == "add":
		return "+ " + c.Path
	case c.Op == "remove" && c.From != "":
		return fmt.Sprintf("- %s: %s", c.Path, c.From)
	case c.Op == "remove":
		return "- " + c.Path
	case c.From != "" && c.To != "":
		return fmt.Sprintf("~ %s: %s -> %s", c.Path, c.From, c.To)
	case c.To != "":
		return fmt.Sprintf("~ %s: %s", c.Path, c.To)
	}
	return "~ " + c.Path
}

// sum counts what would happen in the members.
func (t *teller) sum(p *v1alpha1.Plan) {
	counts := map[string]int{}
	for _, o := range p.Status.Objects {
		for _, c := range o.Clusters {
			counts[string(c.Verdict)]++
		}
	}
	var parts []string
	for _, part := range []struct{ verdict, text string }{
		{"Created", "to create"}, {"Configured", "to change"}, {"Deleted", "to delete"}, {"Unchanged", "unchanged"},
		{"Skipped", "left alone"}, {"Conflict", "in conflict"}, {"Failed", "refused"}, {"Pending", "waiting"},
	} {
		if counts[part.verdict] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[part.verdict], part.text))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing to do"}
	}
	t.say("\nIn the members: %s. Nothing was written.", strings.Join(parts, ", "))
}

func whyAll(reasons []v1alpha1.PlannedReason) string {
	texts := make([]string, len(reasons))
	for i, r := range reasons {
		texts[i] = why(r.Reason, r.Message)
	}
	return strings.Join(texts, "; also ")
}
