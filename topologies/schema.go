package topologies

import "encoding/json"

// schema is a part of a JSON Schema.
type schema map[string]any

// Schema returns the JSON Schema (draft 2020-12) of topology files, for editors:
//
//	# yaml-language-server: $schema=topology.schema.json
//
// It is made from the list of keys that the decoder works from. It says what one
// value may look like; what needs more than one (a link to a missing node, a
// jitter over its delay) only Parse checks. Names of engines are open.
func Schema() []byte {
	s := objectSchema(fileKeys(profileNames()))
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "tquiclab topology"
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("topologies: the schema does not encode: " + err.Error())
	}
	return append(data, '\n')
}

// objectSchema returns the schema of a mapping of these keys.
func objectSchema[T any](keys []key[T]) schema {
	properties, required := schema{}, []string{}
	for _, k := range keys {
		property := schema{"description": k.doc}
		for name, value := range k.schema {
			property[name] = value
		}
		properties[k.name] = property
		if k.required {
			required = append(required, k.name)
		}
	}
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func listSchema(items schema, least, most int) schema {
	return schema{"type": "array", "items": items, "minItems": least, "maxItems": most}
}

func integerSchema(least, most uint64) schema {
	return schema{"type": "integer", "minimum": least, "maximum": most}
}

func textSchema(pattern string) schema { return schema{"type": "string", "pattern": pattern} }

func wordSchema(words []string) schema { return schema{"enum": words} }

func percentSchema() schema { return textSchema(percentMeasure().pattern()) }
func timeSchema() schema    { return textSchema(timeMeasure().pattern()) }
func sizeSchema() schema    { return textSchema(sizeMeasure().pattern()) }

// orWord adds a word to a value's schema.
func orWord(s schema, word string) schema {
	return anySchema(s, schema{"const": word})
}

// eitherSchema is a value in short, or a mapping.
func eitherSchema[T any](short schema, keys []key[T]) schema {
	return anySchema(short, objectSchema(keys))
}

// anySchema is any of the schemas, flattened.
func anySchema(of ...schema) schema {
	var all []schema
	for _, s := range of {
		if inner, ok := s["anyOf"].([]schema); ok {
			all = append(all, inner...)
		} else {
			all = append(all, s)
		}
	}
	return schema{"anyOf": all}
}

// with returns s with one more keyword.
func (s schema) with(keyword string, value any) schema {
	s[keyword] = value
	return s
}
