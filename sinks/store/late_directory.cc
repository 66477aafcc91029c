#include "sinks/store/late_directory.h"

#include "base/file.h"

namespace tailrace {

namespace {

struct Late {
  std::string root;
  DirectoryStore store{};

  Result<void> open() {
    store = {};
    if (auto made = make_directories(root); !made) return made;
    auto opened = open_directory_store(root);
    if (!opened) return opened.error();
    store = *std::move(opened);
    return {};
  }
  Result<Records*> records() {
    if (!store.records)
      if (auto opened = open(); !opened) return opened.error();
    return store.records.get();
  }
  [[nodiscard]] Result<Files*> files() const {
    if (!store.files) return Error{Error::Kind::retry_later, root + " is not open yet"};
    return store.files.get();
  }
};

class LateRecords final : public Records {
 public:
  explicit LateRecords(std::shared_ptr<Late> late) : late_(std::move(late)) {}

  Result<Cas> cas(const std::string& name, std::string_view record, Parent parent,
                  const std::string& tmp) override {
    auto records = late_->records();
    return records ? (*records)->cas(name, record, parent, tmp) : records.error();
  }
  Result<std::optional<std::string>> read(const std::string& name) override {
    auto records = late_->records();
    return records ? (*records)->read(name) : records.error();
  }
  Result<std::vector<std::string>> list(const std::string& directory) override {
    auto records = late_->records();
    return records ? (*records)->list(directory) : records.error();
  }
  Result<void> remove(const std::string& name) override {
    auto records = late_->records();
    return records ? (*records)->remove(name) : records.error();
  }
  Result<void> make_directory(const std::string& directory) override {
    auto records = late_->records();
    return records ? (*records)->make_directory(directory) : records.error();
  }

 private:
  std::shared_ptr<Late> late_;
};

class LateFiles final : public Files {
 public:
  explicit LateFiles(std::shared_ptr<const Late> late) : late_(std::move(late)) {}

  Result<std::unique_ptr<StagedFile>> stage(const std::string& staged) override {
    auto files = late_->files();
    return files ? (*files)->stage(staged) : files.error();
  }
  Result<Published> publish(const std::string& staged, const std::string& final_path) override {
    auto files = late_->files();
    return files ? (*files)->publish(staged, final_path) : files.error();
  }
  Result<void> remove(const std::string& staged) override {
    auto files = late_->files();
    return files ? (*files)->remove(staged) : files.error();
  }
  Result<std::vector<std::string>> list(const std::string& directory) override {
    auto files = late_->files();
    return files ? (*files)->list(directory) : files.error();
  }

 private:
  std::shared_ptr<const Late> late_;
};

}  // namespace

LateDirectory late_directory_store(const std::string& root) {
  auto late = std::make_shared<Late>(Late{root});
  LateDirectory out;
  out.records = std::make_unique<LateRecords>(late);
  out.files = std::make_unique<LateFiles>(late);
  out.reopen = [late] { return late->open(); };
  return out;
}

}  // namespace tailrace
