// Command web is the application that the members run where pods are real: it
// answers every request with the name of its pod and its version, so that a
// test sees which pod a DNS answer led to. With the argument "once" it ends at once and well, as the pod of a Job does.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "once" {
		return
	}
	pod, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	version := os.Getenv("VERSION") // set by the image
	answer := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s version %s\n", pod, version)
	}
	log.Fatal(http.ListenAndServe(":8080", http.HandlerFunc(answer)))
}
