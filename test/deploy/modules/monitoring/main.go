// Validates objects without a schema in Kubernetes against the Go types of the programs that read them: the Prometheus
// operator's objects and Grafana's dashboards. Reads YAML documents (JSON is YAML) from standard input, and prints each as a
// line of JSON; other objects aren't validated.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

func main() {
	plugins.RegisterDefaultPlugins()
	reader := documents.NewYAMLReader(bufio.NewReader(os.Stdin))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = check(document)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func check(document []byte) error {
	var object map[string]any
	// UnmarshalStrict refuses duplicate keys
	if err := yaml.UnmarshalStrict(document, &object); err != nil || object == nil {
		return err
	}
	if err := checkKind(document, object); err != nil {
		return fmt.Errorf("%v: %w", object["kind"], err)
	}
	line, err := json.Marshal(object)
	fmt.Println(string(line))
	return err
}

func checkKind(document []byte, object map[string]any) error {
	version, _ := object["apiVersion"].(string)
	kind := fmt.Sprint(version, " ", object["kind"])
	switch {
	case kind == "monitoring.coreos.com/v1 PodMonitor":
		return yaml.UnmarshalStrict(document, &monitoring.PodMonitor{})
	case kind == "monitoring.coreos.com/v1 PrometheusRule":
		return yaml.UnmarshalStrict(document, &monitoring.PrometheusRule{})
	case strings.HasPrefix(version, "monitoring.coreos.com/"):
		return errors.New("no type for it here")
	case version == "" && object["schemaVersion"] != nil:
		return checkDashboard(document)
	}
	return nil
}

// Grafana's strict decoder misses unknown fields in some places, and returns an error without a text on success. So the
// dashboard is also decoded and encoded again, which must not lose anything.
func checkDashboard(document []byte) error {
	if err := new(dashboard.Dashboard).UnmarshalJSONStrict(document); err != nil && err.Error() != "" {
		return err
	}
	var decoded dashboard.Dashboard
	if err := json.Unmarshal(document, &decoded); err != nil {
		return err
	}
	if err := decoded.Validate(); err != nil {
		return err
	}
	encoded, err := json.Marshal(decoded)
	if err != nil {
		return err
	}
	var given, kept any
	if err := errors.Join(json.Unmarshal(document, &given), json.Unmarshal(encoded, &kept)); err != nil {
		return err
	}
	return lost("dashboard", given, kept)
}

func lost(path string, given, kept any) error {
	switch given := given.(type) {
	case map[string]any:
		kept, _ := kept.(map[string]any)
		for name, value := range given {
			other, there := kept[name]
			if !there && !empty(value) {
				return fmt.Errorf("%s.%s is unknown", path, name)
			}
			if err := lost(path+"."+name, value, other); err != nil {
				return err
			}
		}
	case []any:
		kept, _ := kept.([]any)
		if len(kept) != len(given) {
			return fmt.Errorf("%s: %d of %d are kept", path, len(kept), len(given))
		}
		for i, value := range given {
			if err := lost(fmt.Sprintf("%s[%d]", path, i), value, kept[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Reports whether the encoder may leave out the value.
func empty(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return value == nil || value == "" || value == false || value == 0.0
}
