#define CAF_SUITE channel_division

#include "amqp/channel_division.hpp"

#include "caf/test/dsl.hpp"

using namespace actors::amqp;

namespace {

std::size_t consumers(std::uint16_t channels, std::uint32_t per_channel) {
  return consumers_of_connection({channels, per_channel});
}

} // namespace

CAF_TEST(the fewer channels the more are shared) {
  const channel_division one{1};
  CAF_CHECK_EQUAL(one.topology, 1u);
  CAF_CHECK_EQUAL(one.deliveries, 1u);
  CAF_CHECK_EQUAL(one.publishing, 1u);
  const channel_division two{2};
  CAF_CHECK_EQUAL(two.deliveries, 2u);
  CAF_CHECK_EQUAL(two.publishing, 2u);
  const channel_division eight{8};
  CAF_CHECK_EQUAL(eight.publishing, 3u);
  CAF_CHECK_EQUAL(eight.first_further, 6u);
  CAF_CHECK_EQUAL(channel_division{0}.first_further, 7u);
}

CAF_TEST(consumers have the channels that nothing else needs) {
  for (auto [channels, of_consumers] : {std::pair{1, 1}, {2, 1}, {3, 1}, {4, 2}, {5, 2}, {8, 4}})
    CAF_CHECK_EQUAL(consumers(channels, 10), of_consumers * 10u);
  CAF_CHECK_EQUAL(consumers(8, 0), 0u);
  CAF_CHECK_EQUAL(consumers(0, 2), 2u * (1 + 0xFFFF - 6));
}

CAF_TEST(who has no room is told what to raise) {
  CAF_CHECK_EQUAL(no_room_text({8, 2}),
                  "the broker allows 8 channels, of which 4 can have consumers, and consumers on "
                  "each: 2; there is no room for one more than 8: raise consumer_max_per_channel "
                  "or channel_max there, and start this program again");
}
