// std::string_view as Boost.JSON 1.81 takes it. Copies nothing.
#pragma once

#include <boost/json/string_view.hpp>
#include <string_view>

namespace drpf::api {

inline boost::json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace drpf::api
