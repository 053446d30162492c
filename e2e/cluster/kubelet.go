package cluster

import (
	_ "embed"
	"fmt"
)

// webStandIn is what a command in a container of a bare cluster runs: it knows what the program web of a real one knows.
//
//go:embed kubelet.sh
var webStandIn []byte

// kubeletConfig is what kwok answers as the kubelet of all nodes. Every container has the same log and runs commands as
// processes of this machine in the folder "container", where there is one program: ./web. Who is attached sees, as with a
// real kubelet, only what is printed from then on: what ./web print writes to the file "output". It is a file of its own,
// so that the log stays what every test expects. Behind every forwarded port is a server that answers with the cluster's
// name.
func (c *bareCluster) kubeletConfig() []byte {
	dir, log, output := c.path("container"), c.path("container", "log"), c.path("container", "output")
	return fmt.Appendf(nil, `---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata: {name: all}
spec: {logs: [{logsFile: %[2]q, follow: true}]}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterAttach
metadata: {name: all}
spec: {attaches: [{logsFile: %[3]q}]}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterExec
metadata: {name: all}
spec: {execs: [{local: {workDir: %[1]q}}]}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterPortForward
metadata: {name: all}
spec: {forwards: [{command: [%[4]q, serve, %[5]q]}]}
`, dir, log, output, c.path("container", "web"), c.name)
}

// containerLog is the log of every container, as container runtimes write it.
func (c *bareCluster) containerLog() []byte {
	return fmt.Appendf(nil, "2026-01-01T00:00:00.000000000Z stdout F web of %s\n", c.name)
}
