package boot

// The serial lines of the machine: init's view of the pipes that package uml
// holds the other ends of.
const (
	OutputLine  = "/dev/ttyS0" // what the tests print
	OutcomeLine = "/dev/ttyS1" // one Outcome
)

// Order is what the first process does before it stops the machine.
type Order struct {
	Modules []string // paths of kernel modules, in the order of loading
	Mounts  []Mount  // host folders to show once /run, /tmp and /dev/shm are empty
	Dir     string   // working directory of the command
	Argv    []string // the command, Argv[0] a path
	Env     []string // its whole environment
}

// Mount is a host folder shown at its own path.
type Mount struct {
	Path  string
	Write bool // whether the inside may write to it
}

// Outcome is how the command ended.
type Outcome struct {
	Exit    int    // its exit status, 128 + the signal that ended it
	Problem string // why it could not run, if it could not
}
