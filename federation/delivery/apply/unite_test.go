package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestUnite(t *testing.T) {
	const account = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: app"
	const claim = "{apiVersion: v1, kind: PersistentVolumeClaim, spec: {resources: {requests: {storage: "
	for _, c := range []struct{ what, sent, live, want, entries string }{
		{"nothing is there yet", account + "}, imagePullSecrets: [{name: ours}]}", "",
			account + "}, imagePullSecrets: [{name: ours}]}", `{"imagePullSecrets":["ours"]}`},
		{"the member's entry stays", account + "}, imagePullSecrets: [{name: ours}]}",
			account + `, annotations: {hanse.io/entries: '{"imagePullSecrets":["ours"]}'}}, imagePullSecrets: [{name: ours}, {name: theirs}]}`,
			account + "}, imagePullSecrets: [{name: ours}, {name: theirs}]}", `{"imagePullSecrets":["ours"]}`},
		{"an entry that the template drops goes", account + "}, imagePullSecrets: [{name: new}]}",
			account + `, annotations: {hanse.io/entries: '{"imagePullSecrets":["ours"]}'}}, imagePullSecrets: [{name: ours}, {name: theirs}]}`,
			account + "}, imagePullSecrets: [{name: new}, {name: theirs}]}", `{"imagePullSecrets":["new"]}`},
		{"a list that the template drops", account + "}}",
			account + `, annotations: {hanse.io/entries: '{"secrets":["ours"]}'}}, secrets: [{name: ours}, {name: theirs}]}`,
			account + "}, secrets: [{name: theirs}]}", ""},
		{"a list that is the member's alone", account + "}}", account + "}, secrets: [{name: theirs}]}", account + "}}", ""},
		{"what is recorded is no JSON", account + "}, secrets: [{name: ours}]}",
			account + ", annotations: {hanse.io/entries: '['}}, secrets: [{name: theirs}]}",
			account + "}, secrets: [{name: ours}, {name: theirs}]}", `{"secrets":["ours"]}`},
		{"the member grew the claim", claim + "1Gi}}}}", claim + "3Gi}}}}", claim + "3Gi}}}}", ""},
		{"the template grows the claim", claim + "5Gi}}}}", claim + "3Gi}}}}", claim + "5Gi}}}}", ""},
		{"the same in other words", claim + "1Gi}}}}", claim + "1024Mi}}}}", claim + "1Gi}}}}", ""},
	} {
		var live *unstructured.Unstructured
		if c.live != "" {
			live = object(t, c.live)
		}
		sent := object(t, c.sent)
		got, entries := unite(sent, live)
		if diff := cmp.Diff(object(t, c.want).Object, got.Object); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
		if text := encodeEntries(entries); text != c.entries {
			t.Errorf("%s: recorded %s, want %s", c.what, text, c.entries)
		}
		if diff := cmp.Diff(object(t, c.sent).Object, sent.Object); diff != "" {
			t.Errorf("%s: the object was changed:\n%s", c.what, diff)
		}
	}
}
