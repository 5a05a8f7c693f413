/* Example: run the network once and print its output bytes over the UART.
 *
 * `put` writes to the CMSDK UART at 0x40004000 (Arm's MPS2 boards and QEMU's mps2-an385/an386/an500). On another board,
 * replace it by that chip's UART, or by semihosting. */
#include <stdint.h>
#include "@PROGRAM@.h"

/* What runs once is made small. */
#ifdef __clang__
#define SMALL __attribute__((minsize))
#else
#define SMALL __attribute__((optimize("Os")))
#endif

#define UART_DATA (*(volatile uint32_t *)@UART@)
#define UART_STATE (*(volatile uint32_t *)(@UART@ + 4))
#define UART_CONTROL (*(volatile uint32_t *)(@UART@ + 8))
#define UART_DIVIDER (*(volatile uint32_t *)(@UART@ + 16))

SMALL static void put(char c)
{
    while (UART_STATE & 1)
        ;
    UART_DATA = (uint32_t)c;
}

SMALL static void put_hex(uint8_t byte)
{
    put("0123456789abcdef"[byte >> 4]);
    put("0123456789abcdef"[byte & 15]);
}

SMALL int main(void)
{
    UART_DIVIDER = 16;
    UART_CONTROL = 1;
    @PROGRAM@_@ENTRY@_reset();
    int8_t *input = @PROGRAM@_@ENTRY@_input(0);
    for (int i = 0; i < @INPUT_BYTES@; i++)
        input[i] = (int8_t)i; /* put your sensor's data here */
    @PROGRAM@_@ENTRY@();
    const uint8_t *output = @PROGRAM@_@ENTRY@_output(0);
    for (int i = 0; i < @OUTPUT_BYTES@; i++)
        put_hex(output[i]);
    put('\n');
    for (;;)
        ;
}
