package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/results"
)

// newManifest says what this program, this machine and this lab are.
func (a *app) newManifest(l *lab.Lab) (results.Manifest, error) {
	machine, err := results.ReadMachine(os.DirFS("/"))
	if err != nil {
		return results.Manifest{}, err
	}
	facts, err := l.Facts()
	if err != nil {
		return results.Manifest{}, err
	}
	interfaces := map[string]map[string]lab.InterfaceFacts{}
	sysctls := map[string]string{}
	for node, f := range facts.Nodes {
		interfaces[node] = f.Interfaces
		for name, value := range f.Sysctls {
			sysctls[node+"/"+name] = value
		}
	}
	links, err := json.Marshal(interfaces)
	if err != nil {
		return results.Manifest{}, fmt.Errorf("encode the links' facts: %w", err)
	}
	m := a.programFacts(machine)
	m.Sysctls, m.Links = sysctls, links
	return m, nil
}

// programFacts says what this program is, and on which machine.
func (a *app) programFacts(machine results.Machine) results.Manifest {
	m := results.Manifest{CommandLine: a.args, Machine: machine, Engines: map[string]string{}}
	if info, ok := debug.ReadBuildInfo(); ok {
		m.Build = results.NewBuild(info)
	}
	for _, name := range a.engines.Names() {
		m.Engines[name] = engineVersion(name, m)
	}
	return m
}

// engineVersion says whose code an engine runs.
func engineVersion(name string, m results.Manifest) string {
	const quicGo = "github.com/quic-go/quic-go"
	switch name {
	case "quic-go", "quic-go-bond":
		return quicGo + " " + m.Build.Modules[quicGo]
	case "tcp-tls", "mptcp-tls":
		return m.Machine.Kernel + ", TLS of " + m.Build.GoVersion
	}
	return m.Machine.Kernel
}
