/* Reset: fill .data, clear .bss, call main. Works on every Cortex-M; the linker script names the memories. */
#include <stddef.h>
#include <stdint.h>

/* What runs once is made small. */
#ifdef __clang__
#define SMALL __attribute__((minsize))
#else
#define SMALL __attribute__((optimize("Os")))
#endif

extern uint32_t nw_data_load, nw_data_start, nw_data_end, nw_bss_start, nw_bss_end, nw_stack_top;

int main(void);

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    while (n--)
        *t++ = *f++;
    return to;
}

void *memset(void *to, int value, size_t n)
{
    unsigned char *t = to;
    while (n--)
        *t++ = (unsigned char)value;
    return to;
}

SMALL void Reset_Handler(void)
{
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: the floating-point unit on */
#endif
    const uint32_t *from = &nw_data_load;
    for (uint32_t *to = &nw_data_start; to < &nw_data_end;)
        *to++ = *from++;
    for (uint32_t *to = &nw_bss_start; to < &nw_bss_end;)
        *to++ = 0;
    main();
    for (;;)
        ;
}

void Halt_Handler(void)
{
    for (;;)
        ;
}

/* Initial stack, reset, and the 14 system exceptions. Add your chip's interrupts behind them. */
__attribute__((section(".vectors"), used)) void (*const nw_vectors[16])(void) = {
    (void (*)(void))&nw_stack_top, Reset_Handler, Halt_Handler, Halt_Handler,
    Halt_Handler, Halt_Handler, Halt_Handler, 0,
    0, 0, 0, Halt_Handler,
    Halt_Handler, 0, Halt_Handler, Halt_Handler,
};
