package topologies

import (
	"fmt"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/trace"
)

// Defaults and bounds of generated traces.
const (
	defaultGenerated = time.Minute
	leastGenerated   = time.Second // trace.Generate's
	defaultWindow    = 100 * time.Millisecond
	leastWindow      = time.Millisecond
)

// fileGenerator asks for a trace that is made.
type fileGenerator struct {
	model    field[string]
	duration field[time.Duration]
	seed     field[uint64]
	mean     field[emulation.Rate]
}

// fileCapacity has one of trace and generate, or neither where it is none.
type fileCapacity struct {
	trace, sha256 field[string]
	fileGenerator
}

// fileSteps has one of list, csv and generate, or none of them.
type fileSteps struct {
	list        field[[]field[fileStep]]
	csv, sha256 field[string]
	fileGenerator
	window field[time.Duration]
	repeat field[time.Duration] // 0: as long as the last step but one lasts
}

type fileStep struct {
	at    field[time.Duration]
	rate  field[emulation.Rate] // 0: an outage
	delay field[time.Duration]
	loss  field[float64]
}

func capacityKeys() []key[fileCapacity] {
	keys := []key[fileCapacity]{
		{
			name: "trace", doc: "a file in Mahimahi's format: a line for each 1500 bytes with its millisecond",
			schema: textSchema(`.`),
			decode: at(func(c *fileCapacity) *field[string] { return &c.trace }, path),
		},
		{
			name: "sha256", doc: "what the file must have, in hex",
			schema: textSchema(hashPattern),
			decode: at(func(c *fileCapacity) *field[string] { return &c.sha256 }, quantity(parseHash)),
		},
	}
	return append(keys, generatorKeys(func(c *fileCapacity) *fileGenerator { return &c.fileGenerator })...)
}

func generatorKeys[T any](of func(*T) *fileGenerator) []key[T] {
	return []key[T]{
		{
			name: "generate", doc: "the kind of access whose trace is made: " + some(models()),
			schema: wordSchema(models()),
			decode: at(func(v *T) *field[string] { return &of(v).model }, oneOf("generator", models())),
		},
		{
			name: "duration", doc: "of the generated trace, which then repeats, 60s unless set",
			schema: timeSchema(),
			decode: at(func(v *T) *field[time.Duration] { return &of(v).duration }, generatedTime),
		},
		{
			name: "seed", doc: "of the generator; follows from the topology's seed, the link and the direction unless set",
			schema: integerSchema(0, maxSeed),
			decode: at(func(v *T) *field[uint64] { return &of(v).seed }, integer("a seed", 0, maxSeed)),
		},
		{
			name: "mean", doc: "the rate to scale the generated trace to; the generator's own unless set",
			schema: textSchema(rateMeasure().pattern()),
			decode: at(func(v *T) *field[emulation.Rate] { return &of(v).mean }, quantity(parseLimitedRate)),
		},
	}
}

func stepsKeys() []key[fileSteps] {
	keys := []key[fileSteps]{
		{
			name: "list", doc: "the steps, such as [{at: 0s, rate: 10mbit}, {at: 5s, rate: 2mbit}]",
			schema: listSchema(objectSchema(stepKeys()), 1, maxStepList),
			decode: at(func(s *fileSteps) *field[[]field[fileStep]] { return &s.list }, list(mapping(stepKeys(), nil))),
		},
		{
			name: "csv", doc: "a file of steps whose first line names the columns, as time_s,rate_mbit,delay_ms,loss_percent",
			schema: textSchema(`.`),
			decode: at(func(s *fileSteps) *field[string] { return &s.csv }, path),
		},
		{
			name: "sha256", doc: "what the file must have, in hex",
			schema: textSchema(hashPattern),
			decode: at(func(s *fileSteps) *field[string] { return &s.sha256 }, quantity(parseHash)),
		},
		{
			name: "repeat", doc: "begin again after this time, or true: when the last step has lasted as long as the one before it; the last step stays unless set",
			schema: anySchema(timeSchema(), schema{"const": true}),
			decode: at(func(s *fileSteps) *field[time.Duration] { return &s.repeat }, repeat),
		},
		{
			name: "window", doc: "how long a step of a generated rate lasts, 100ms unless set",
			schema: timeSchema(),
			decode: at(func(s *fileSteps) *field[time.Duration] { return &s.window }, positiveTime),
		},
	}
	return append(keys, generatorKeys(func(s *fileSteps) *fileGenerator { return &s.fileGenerator })...)
}

func stepKeys() []key[fileStep] {
	return []key[fileStep]{
		{
			name: "at", required: true, doc: "from when on, after the start; the first at 0s",
			schema: timeSchema(),
			decode: at(func(s *fileStep) *field[time.Duration] { return &s.at }, quantity(ParseTime)),
		},
		{
			name: "rate", doc: "a rate, or none for an outage; as before unless set",
			schema: orWord(textSchema(rateMeasure().pattern()), none),
			decode: at(func(s *fileStep) *field[emulation.Rate] { return &s.rate }, orNone(quantity(parseLimitedRate))),
		},
		{
			name: "delay", doc: "a delay; as before unless set",
			schema: timeSchema(),
			decode: at(func(s *fileStep) *field[time.Duration] { return &s.delay }, quantity(ParseTime)),
		},
		{
			name: "loss", doc: "random loss; as before unless set",
			schema: percentSchema(),
			decode: at(func(s *fileStep) *field[float64] { return &s.loss }, quantity(ParsePercent)),
		},
	}
}

// maxStepList is the most steps that a file lists; a CSV file may have more.
const maxStepList = 4096

func stepsSchema() schema {
	return anySchema(listSchema(objectSchema(stepKeys()), 1, maxStepList), objectSchema(stepsKeys()), schema{"const": none})
}

// steps reads a list of steps, or a mapping.
func steps(d *decoder, n node) (fileSteps, bool) {
	if n.Kind != yaml.SequenceNode {
		return mapping(stepsKeys(), nil)(d, n)
	}
	var s fileSteps
	at(func(s *fileSteps) *field[[]field[fileStep]] { return &s.list }, list(mapping(stepKeys(), nil)))(d, n, &s)
	return s, s.list.state == good
}

// repeat reads a time above 0, or true, which is 0.
func repeat(d *decoder, n node) (time.Duration, bool) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && n.Value == "true" {
		return 0, true
	}
	return positiveTime(d, n)
}

// generatedTime reads the length of a generated trace.
func generatedTime(d *decoder, n node) (time.Duration, bool) {
	t, ok := quantity(ParseTime)(d, n)
	if ok && (t < leastGenerated || t > trace.MaxDuration || t%time.Millisecond != 0) {
		d.problem(n.place(), Problem{
			Text:     "a trace of " + FormatTime(t),
			Expected: fmt.Sprintf("whole milliseconds from %s to %s", FormatTime(leastGenerated), FormatTime(trace.MaxDuration)),
		})
		return 0, false
	}
	return t, ok
}

// parseLimitedRate is ParseRate without the word for no limit.
func parseLimitedRate(text string) (emulation.Rate, error) {
	m := rateMeasure()
	m.zero = ""
	n, _, err := m.parse(text)
	if err == nil && n == 0 {
		err = &QuantityError{Text: quote(text) + " lets nothing pass", Expected: m.what + " above 0; a step with an outage has rate: " + none}
	}
	return emulation.Rate(n), asError(err)
}

func models() []string {
	var names []string
	for _, m := range trace.Models() {
		names = append(names, string(m))
	}
	return names
}
