// A board between its clock, a reset register and its pins; see harness.v.
module top(
    input clk,
    input rst,
    input rx,
    output tx,
    output alive,
    output busy,
    output error
);
  reg held;
  always @(posedge clk) held <= rst;
  device device(
      .clk(clk),
      .rst(held),
      .rx(rx),
      .tx(tx),
      .alive(alive),
      .busy(busy),
      .error(error)
  );
endmodule
