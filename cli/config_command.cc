#include "cli/config_command.h"

#include <algorithm>
#include <cstdio>

#include "base/units.h"
#include "cli/config/keys.h"
#include "cli/config/role_config.h"
#include "cli/watch/figures.h"

namespace tailrace {

namespace {
constexpr int kGood = 0;
constexpr int kWrongUsage = 2;
constexpr int kWrongSettings = 78;
constexpr size_t kNoteColumn = 56;

// A settings file again, with a note behind each line.
class Listing {
 public:
  // `defaults`: also what no file says.
  explicit Listing(bool defaults) : defaults_(defaults) {}

  void add(const ConfigMap& map, size_t indent = 0) {
    for (const std::string& name : map.names()) {
      const ConfigKey* const key = map.key(name);
      if (key != nullptr && key->type != ConfigKey::Type::map) {
        value(map, name, *key, indent);
        continue;
      }
      Listing below(defaults_);
      below.add(map.map(name), indent + 2);
      if (below.out_.empty()) continue;
      line(std::string(indent, ' ') + name + ":", "");
      out_ += below.out_;
    }
  }
  [[nodiscard]] const std::string& text() const { return out_; }

 private:
  void value(const ConfigMap& map, const std::string& name, const ConfigKey& key, size_t indent) {
    const YamlNode* const node = map.node(name);
    const std::string head = std::string(indent, ' ') + name + ": ";
    if (node == nullptr) {
      if (defaults_ && !key.fallback.empty()) line(head + std::string(key.fallback), "default");
      return;
    }
    line(head + (key.secret ? hidden(*node) : shown(*node)),
         map.source().file() + ":" + std::to_string(node->line));
  }

  // Where a secret stands may be shown.
  static std::string hidden(const YamlNode& node) {
    const bool refers = node.text.starts_with("${") &&
                        node.text.find('}') == node.text.size() - 1 &&
                        node.text.find(":-") == std::string::npos;
    return refers ? node.text : "(not shown)";
  }

  // A reference to a file is shown as it is written: what it names may be a secret.
  static std::string shown(const YamlNode& node) {
    if (node.kind == YamlNode::Kind::list) {
      std::string out = "[";
      for (const YamlNode& item : node.items) out += (out.size() > 1 ? ", " : "") + shown(item);
      return out + "]";
    }
    std::string text = node.text;
    if (text.find("${file:") == std::string::npos)
      if (auto expanded = expand_references(text); expanded.ok()) text = std::move(*expanded);
    const bool plain =
        !text.empty() && text.find_first_of(":{}[],&*#?|-<>=!%@\\\"' \n\t") == std::string::npos;
    return plain || !node.quoted ? text : "\"" + escaped(text) + "\"";
  }

  static std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out;
  }

  void line(std::string text, const std::string& note) {
    if (!note.empty()) {
      text.resize(std::max(text.size() + 2, kNoteColumn), ' ');
      text += "# " + note;
    }
    out_ += text + "\n";
  }

  bool defaults_;
  std::string out_;
};

int wrong(const char* text) {
  std::fprintf(stderr, "tailrace config: %s\nSee: tailrace config --help\n", text);
  return kWrongUsage;
}

int list_settings(const std::string& file, bool effective) {
  RoleConfig config = read_role_config(file, "");
  for (const ConfigProblem& problem : config.problems) std::fputs(problem.show().c_str(), stderr);
  if (!config.good()) return kWrongSettings;
  std::vector<ConfigProblem> none;
  for (const ConfigFile& one : config.files) {
    const ConfigKeys& keys = one.dropped ? dropped_keys() : config_keys(config.role);
    Listing listing(effective && !one.dropped);
    listing.add(ConfigMap(one.text, one.root, keys, none));
    if (one.dropped) std::printf("# --- and from %s\n", one.text.file().c_str());
    std::fputs(listing.text().c_str(), stdout);
  }
  return kGood;
}

int run_config(const Arguments& arguments) {
  if (arguments.given("page")) return std::fputs(keys_as_page().c_str(), stdout) < 0;
  if (arguments.given("metrics-page")) return std::fputs(metrics_page().c_str(), stdout) < 0;
  if (arguments.given("schema")) {
    const std::string role(arguments.value("schema"));
    if (std::find(std::begin(kRoles), std::end(kRoles), role) == std::end(kRoles))
      return wrong("--schema is of agent, local, center or run");
    return std::fputs(keys_as_schema(role).c_str(), stdout) < 0;
  }
  if (arguments.operands().size() != 1) return wrong("which FILE? One at a time");
  return list_settings(arguments.operands().front(), arguments.given("effective"));
}

constexpr Option kOptions[] = {
    {"effective", "", "", "with the defaults of what the files do not say"},
    {"schema", "ROLE", "", "a JSON Schema of the settings of agent, local, center or run"},
    {"page", "", "", "docs/configuration.md"},
    {"metrics-page", "", "", "docs/metrics.md"},
};
}  // namespace

const Command& config_command() {
  static const Command kCommand = {
      .name = "config",
      .summary = "shows settings, merged, with the file and line that each comes from",
      .synopsis = "[--effective] FILE",
      .examples =
          "  tailrace config --effective /etc/tailrace/agent.yaml\n"
          "  tailrace config --schema agent > agent.schema.json    # for an editor\n",
      .operands = "FILE",
      .notes = "What ${file:PATH} names is never shown.\n",
      .options = kOptions,
      .run = run_config,
  };
  return kCommand;
}

}  // namespace tailrace
