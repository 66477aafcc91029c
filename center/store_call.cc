#include "center/store_call.h"

#include <utility>

namespace tailrace {

namespace {
template <class T, class Use>
StoreReply answer(Result<T> result, Use use) {
  StoreReply reply;
  if (!result)
    reply.error = result.error();
  else
    use(reply, std::move(*result));
  return reply;
}
StoreReply answer(Result<void> result) {
  StoreReply reply;
  if (!result) reply.error = result.error();
  return reply;
}
}  // namespace

StoreReply call_store(const StoreRequest& request, Records& records, Files& files,
                      const std::string& tmp) {
  if (const auto* r = std::get_if<CasRequest>(&request))
    return answer(records.cas(r->name, r->record, r->parent, tmp),
                  [](StoreReply& reply, Cas cas) { reply.cas = cas; });
  if (const auto* r = std::get_if<ReadRequest>(&request))
    return answer(records.read(r->name), [](StoreReply& reply, std::optional<std::string> record) {
      reply.record = std::move(record);
    });
  if (const auto* r = std::get_if<ReadsRequest>(&request)) {
    StoreReply reply;
    for (const std::string& name : r->names) {
      auto record = records.read(name);
      if (!record) return answer(Result<void>(record.error()));
      reply.records.push_back(*std::move(record));
    }
    return reply;
  }
  const auto names = [](StoreReply& reply, std::vector<std::string> list) {
    reply.names = std::move(list);
  };
  if (const auto* r = std::get_if<ListRequest>(&request))
    return answer(records.list(r->directory), names);
  if (const auto* r = std::get_if<ListFilesRequest>(&request))
    return answer(files.list(r->directory), names);
  if (const auto* r = std::get_if<RemoveRequest>(&request)) return answer(records.remove(r->name));
  if (const auto* r = std::get_if<MakeDirectoryRequest>(&request))
    return answer(records.make_directory(r->directory));
  if (const auto* r = std::get_if<RemoveFileRequest>(&request))
    return answer(files.remove(r->staged));
  if (const auto* r = std::get_if<PublishRequest>(&request))
    return answer(files.publish(r->staged, r->final_path),
                  [](StoreReply& reply, Published p) { reply.published = p; });
  return {};  // a pause: its caller waits
}

}  // namespace tailrace
